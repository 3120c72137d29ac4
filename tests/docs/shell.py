"""Runs the commands of a page as a person would at a prompt."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from _pytest.pytester import LineMatcher

from tests.docs.pages import Block, patterns, status_of, write_files_of

STRANGE = ("FLEET", "PYTEST_", "COLUMNS")  # variables that would change what commands say
SECONDS = 60.0
FLEETQ = [sys.executable, "-m", "fleetq_server.cli.main"]
PLAIN = re.compile(r"fleetq [^|<>&;$`]*")
PROMPT = [sys.executable, "-m", "tests.docs.prompt"]
ROOT = Path(__file__).parents[2]


class Prompt:
    """One process that runs `fleetq` again and again; see `tests.docs.prompt`."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def run(
        self, words: list[str], folder: Path, variables: dict[str, str], outputs: list[Path]
    ) -> int:
        asked = {
            "words": words,
            "folder": str(folder),
            "variables": variables,
            "outputs": [str(path) for path in outputs],
        }
        self._stdin.write(json.dumps(asked) + "\n")
        self._stdin.flush()
        return int(self._stdout.readline())


@contextmanager
def prompt() -> Iterator[Prompt]:
    with subprocess.Popen(
        PROMPT, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Prompt(process.stdin, process.stdout)


class Ran(NamedTuple):
    status: int
    printed: str


class Shell:
    """In a folder, with variables of its own; ends what it started beside itself."""

    def __init__(self, prompt: Prompt, folder: Path) -> None:
        self._prompt = prompt
        self._folder = folder
        variables = {k: v for k, v in os.environ.items() if not k.startswith(STRANGE)}
        self._variables = variables
        self._beside = ExitStack()
        (folder / ".bin").mkdir()
        for name, words in (("fleetq", FLEETQ), ("python", [sys.executable])):
            script = folder / ".bin" / name
            script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            script.chmod(0o755)
        variables["PATH"] = f"{folder / '.bin'}:{variables['PATH']}"

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.close()

    def follow(self, page: list[Block]) -> None:
        """Does what the page shows, in its order."""
        write_files_of(page, self._folder)
        for block, following in pairwise([*page, Block("", "")]):
            if block.language != "sh":
                continue
            printed = [line for words in block.text.splitlines() for line in self._told(words)]
            if following.language == "text":
                LineMatcher(printed).fnmatch_lines(patterns(following.text))

    def _told(self, line: str) -> list[str]:
        command, status = status_of(line)
        ran = self.run(command)
        assert ran.status == status, f"{line}\n{ran.printed}"
        return ran.printed.splitlines()

    def run(self, line: str) -> Ran:
        if line.startswith("export "):
            name, _, value = shlex.split(line)[1].partition("=")
            self._variables[name] = value
            return Ran(0, "")
        if line.endswith(" &"):
            return Ran(0, self._beside.enter_context(self._started(line.removesuffix(" &"))))
        if PLAIN.fullmatch(line):
            return self._fork(shlex.split(line))
        return self._bash(line)

    @contextmanager
    def _started(self, line: str) -> Iterator[str]:
        """A process beside the others, from its first line of output on."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self._folder, env=self._variables,
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                first = process.stdout.readline()
                assert first, f"{line} ended before it was ready"
                yield first
            finally:
                process.terminate()

    def _bash(self, line: str) -> Ran:
        ran = subprocess.run(
            ["bash", "-c", line], cwd=self._folder, env=self._variables,
            capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        return Ran(ran.returncode, ran.stdout + ran.stderr)

    def _fork(self, words: list[str]) -> Ran:
        outputs = [self._folder / ".out", self._folder / ".err"]
        status = self._prompt.run(words, self._folder, self._variables, outputs)
        return Ran(status, "".join(path.read_text() for path in outputs))
