"""How a test ended and what the checkers said: `verdict.json` in its bundle."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pytest_fleetq.verdict.model import CheckResult, Finding, Judgement, Verdict

FORMAT = 1
FILE = "verdict.json"

NOT_TOLD = "unknown"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one test.

    `outcome` is pytest's word, passed, failed or skipped, or `unknown` where pytest was killed.
    """

    outcome: str = NOT_TOLD
    failure: str = ""  # what pytest shows of it
    checkers: tuple[CheckResult, ...] = ()
    sections: tuple[tuple[str, str], ...] = ()  # what plugins add: title, text

    @property
    def verdict(self) -> Verdict | None:
        """Of the checkers; None if none was asked."""
        return Judgement(self.checkers).verdict if self.checkers else None

    @property
    def findings(self) -> Sequence[Finding]:
        return [finding for result in self.checkers for finding in result.findings]

    def to_json(self) -> str:
        told = {**asdict(self), "checkers": [as_dict(result) for result in self.checkers]}
        return json.dumps({"format": FORMAT, **told}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises: ValueError if it is nothing that `to_json` wrote."""
        told: Any = json.loads(text)
        try:
            if told["format"] != FORMAT:
                raise ValueError(f"format {told['format']}, this version knows {FORMAT}")
            checkers = tuple(_result(one) for one in told["checkers"])
            sections = tuple((str(title), str(body)) for title, body in told["sections"])
            return cls(told["outcome"], told["failure"], checkers, sections)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no verdict: {error!r}") from error


def as_dict(result: CheckResult) -> dict[str, object]:
    return {**result._asdict(), "findings": [finding._asdict() for finding in result.findings]}


def _result(told: Any) -> CheckResult:
    findings = tuple(
        Finding(one["problem"], one["step"], tuple(one["lines"]), Verdict(one["verdict"]))
        for one in told["findings"]
    )
    return CheckResult(
        told["checker"], Verdict(told["verdict"]), findings, told["more"], told["seconds"]
    )
