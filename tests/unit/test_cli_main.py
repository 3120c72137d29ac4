"""The command line without a fleet: help, usage, exit codes, finding a pod."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import fleetq_server
from fleetq_server.cli.failure import KINDS, Failure
from fleetq_server.cli.lazy import BUILT_IN, load_command
from fleetq_server.cli.main import main
from fleetq_server.errors import FleetError, InternalError, NotFound, Unavailable


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FLEET_Q_ADDRESS", "FLEET_Q_STORE", "FLEET_Q_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def fleetq(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, args, input=stdin)


def all_errors(root: type[FleetError] = FleetError) -> list[type[FleetError]]:
    return [root, *(each for child in root.__subclasses__() for each in all_errors(child))]


def test_help_tells_of_every_command_and_exit_code_without_importing_grpc() -> None:
    code = (
        "import sys\n"
        "from fleetq_server.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "sys.exit('grpc' in sys.modules or 'pydantic' in sys.modules)"
    )
    root = Path(fleetq_server.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    for name in BUILT_IN:
        assert f"  {name} " in done.stdout
    assert "Watch a running fleet" in done.stdout, "and of those of other distributions"
    for exit_code in ("0  ", "1  ", "2  ", "3  ", "4  ", "130"):
        assert f"  {exit_code}" in done.stdout


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_command_loads_and_every_option_has_help(name: str) -> None:
    command = load_command(name)
    assert command is not None
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.name}"
    assert fleetq(name, "--help").exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["pod"], "no command 'pod'; did you mean pods?"),
        (["steps", "--state", "DONE"], "DONE"),
        (["wait"], "STEP_ID"),
        (["wait", "x", "-a", "127.0.0.1:1"], "'x' is not a step id"),
        (["wait", "-", "-a", "127.0.0.1:1"], "none on standard input"),
        (["wait", "1", "--timeout", "-1"], "--timeout"),
        (["submit", "a.jsonl", "--payload", "1", "-a", "127.0.0.1:1"], "not both"),
        (["submit", "--payload", "{", "--kind", "k", "-a", "127.0.0.1:1"], "is not JSON"),
        (["submit", "--payload", "1", "-a", "127.0.0.1:1"], "kind"),
        (["submit", "-", "--metadata", "a=b", "-a", "127.0.0.1:1"], "--payload"),
        (["submit", "gone.jsonl", "-a", "127.0.0.1:1"], "gone.jsonl: No such file"),
        (["submit", "-", "--run-at", "soon", "-a", "127.0.0.1:1"], "--run-at"),
        (["pods", "-a", "nonsense"], "is not host:port"),
        (["pods", "--store", "sqlite:///gone.db"], "gone.db"),
        (["dlq", "redrive", "--limit", "0"], "--limit"),
        (["dlq", "list", "--cause", "bad luck"], "--cause"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_exit_code_2(args: list[str], message: str) -> None:
    plain = fleetq(*args)
    assert plain.exit_code == 2
    assert message in plain.stderr
    assert plain.stderr.startswith("fleetq: ")
    assert plain.stderr.count("\n") == 1
    as_json = fleetq(*args, "--json")
    assert as_json.exit_code == 2
    assert message in json.loads(as_json.stderr)["error"]["message"]


def test_an_unreachable_fleet_is_exit_code_3_and_says_what_to_do() -> None:
    done = fleetq("--address", "127.0.0.1:1", "--call-timeout", "0.1", "pods")
    assert done.exit_code == 3
    assert "127.0.0.1:1" in done.stderr
    assert "fleetq serve" in done.stderr


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_Q_ADDRESS", "127.0.0.1:2")
    assert "127.0.0.1:2" in fleetq("pods", "--call-timeout", "0.1").stderr
    assert "127.0.0.1:3" in fleetq("pods", "--call-timeout", "0.1", "-a", "127.0.0.1:3").stderr
    assert "gone.db" in fleetq("pods", "--store", "sqlite:///gone.db").stderr


def test_looking_for_a_pod_creates_no_store() -> None:
    assert fleetq("pods").exit_code == 2
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code(kind: type[FleetError]) -> None:
    assert any(issubclass(kind, types) for types, _ in KINDS)


def test_failures_tell_the_message_the_advice_and_the_log_id() -> None:
    assert Failure.of(NotFound("step", "7")).line.startswith("no step '7' (")
    assert Failure.of(NotFound("step", "7")).exit_code == 4
    assert "log id abc" in Failure.of(InternalError("internal error", "abc")).line
    assert Failure.of(Unavailable("two\nlines")).message == "two lines"


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fleetq_server.cli.pods.connect", interrupted)
    assert fleetq("pods").exit_code == 130
