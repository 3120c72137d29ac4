"""A folder with all that a gate measured and found, for whoever looks into it later."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_fleetq.perf.gate.github import markdown
from pytest_fleetq.perf.gate.outcome import Outcome

PAIRS = "pairs.jsonl"
VERDICT = "verdict.json"
SUMMARY = "summary.md"


class Artifacts:
    """Each pair is there as soon as it was measured. Without a folder, nothing is written."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / PAIRS).write_text("")

    def record(self, pair: Mapping[str, Any]) -> None:
        if self._directory is not None:
            with (self._directory / PAIRS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(pair, ensure_ascii=False) + "\n")

    def finish(self, outcome: Outcome) -> None:
        if self._directory is not None:
            text = json.dumps(outcome.document(), ensure_ascii=False, indent=2)
            (self._directory / VERDICT).write_text(text + "\n", encoding="utf-8")
            (self._directory / SUMMARY).write_text(markdown(outcome), encoding="utf-8")
