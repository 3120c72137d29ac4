"""docs/security.md does what it shows: its commands run in order, in one folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher
from click.testing import CliRunner

from fleetq_server.cli.main import main
from fleetq_server.rpc.security.rights import RIGHTS
from fleetq_server.rpc.security.tokens import Role
from tests.cluster.launch import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PORT = re.compile(r"(?<=:)74\d\d\b")
EXITS = re.compile(r"\s+# exits (\d+)$")
BOUND = 60.0


class Terminal:
    """Runs lines; those that serve go on in the background, once they are ready."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports: dict[str, str] = {}
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("FLEET_Q_")}
        self._environment = {**clean, "PATH": path}

    def own_ports(self, text: str) -> str:
        """With the ports that the pods took, for those that the page shows."""
        return PORT.sub(lambda shown: self._ports[shown[0]], text)

    def run(self, line: str) -> str:
        if line.startswith("fleetq serve"):
            return self._serve(line)
        line = self.own_ports(line)
        wanted = EXITS.search(line)
        words = shlex.split(line, comments=True)
        match words:
            case ["fleetq", *_]:
                status, output = self._fleetq(words[1:])
            case _:
                status, output = self._shell(line)
        assert status == int(wanted[1] if wanted else 0), f"{line}\n{output}"
        return output

    def _fleetq(self, words: list[str]) -> tuple[int, str]:
        """In this process, which has imported it already."""
        into = words[-1] if words[-2] == ">" else None
        done = CliRunner().invoke(main, words[:-2] if into else words)
        if into is None:
            return done.exit_code, done.output
        (self._folder / into).write_text(done.stdout)
        return done.exit_code, done.stderr

    def _shell(self, line: str) -> tuple[int, str]:
        done = subprocess.run(
            line,
            shell=True,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BOUND,
        )
        return done.returncode, done.stdout

    def _serve(self, line: str) -> str:
        with (self._folder / "pods.log").open("a") as log:
            pod = subprocess.Popen(
                ["sh", "-c", f"exec {PORT.sub('0', line)}"],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._stack.enter_context(pod)
        self._stack.callback(pod.kill)
        assert pod.stdout is not None
        ready = pod.stdout.readline()
        assert ready, (self._folder / "pods.log").read_text()
        (shown,) = PORT.findall(line)
        self._ports[shown] = str(json.loads(ready)["port"])
        return ready


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        yield Terminal(tmp_path, stack)


@pytest.mark.pages
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page shows it with openssl")
def test_what_the_page_shows_is_so(terminal: Terminal, tmp_path: Path) -> None:
    output = ""
    for language, text in BLOCKS:
        match language:
            case "python":
                shown = terminal.own_ports(text)
                (tmp_path / shown.partition("\n")[0].removeprefix("# ")).write_text(shown)
            case "sh":
                output = "".join(map(terminal.run, text.splitlines()))
            case "text":
                LineMatcher(output.splitlines()).fnmatch_lines(text.splitlines())
            case _:
                pytest.fail(f"nothing runs a block of {language}")


def test_the_roles_of_the_page_are_those_of_the_table() -> None:
    for role in (Role.SUBMIT, Role.WORK):
        (listed,) = re.findall(rf"^\| `{role}` \| (.*) \|$", PAGE, re.MULTILINE)
        allowed = [method.rpartition("/")[2] for method, roles in RIGHTS.items() if role in roles]
        assert listed.split(", ") == allowed
