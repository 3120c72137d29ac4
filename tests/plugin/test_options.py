"""Options, markers, and what having the plugin costs."""

import sys

import pytest

from pytest_fleetq.options import OPTIONS, SCOPES, Option
from tests.plugin.conftest import ROOT, Run

pytestmark = pytest.mark.commands

NOTHING = "def test_it(): pass"


def test_the_command_line_comes_before_the_environment_before_the_ini_file_before_the_default(
    run: Run, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETQ_SEED", "2")
    monkeypatch.setenv("FLEETQ_TIMEOUT", "2")
    monkeypatch.setenv("FLEETQ_KEEP", "")  # as if it were not there
    project.makeini("[pytest]\nfleetq_seed = 3\nfleetq_timeout = 3\nfleetq_keep = yes")
    source = """
    from pytest_fleetq.plugin import OPTIONS

    def test_it(pytestconfig):
        told = pytestconfig.stash[OPTIONS]
        assert (told["seed"], told["timeout"]) == (1, 2.0)
        assert told["keep"] is True
        assert told["scope"] == "function"
    """
    result = run(source, "--fleetq-seed=1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["fleetq: seed 1"])


def test_wrong_options_are_usage_errors_that_name_the_place_and_what_would_be_right(
    run: Run, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETQ_SCOPE", "galaxy")
    project.makeini("[pytest]\nfleetq_timeout = 0")
    result = run(NOTHING, "--fleetq-seed=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "*--fleetq-seed='x' must be a whole number from 0 up to 4294967295",
            f"FLEETQ_SCOPE='galaxy' must be one of {', '.join(SCOPES)}",
            "fleetq_timeout in tox.ini='0' must be a number of seconds above 0",
        ]
    )


WRONG_MARKERS = {
    "fleetq(scope='galaxy')": "scope='galaxy' must be one of *",
    "fleetq(checkers='one')": "checkers='one' must be a list of names",
    "fleetq(silence=['conservatoin'])": "no checker 'conservatoin'; there are *",
    "fleetq(colour=1)": "has no argument 'colour'; there is *",
    "fleetq(timeout=0)": "timeout=0 must be a number of seconds above 0",
    "fleetq(3)": "takes only named arguments*",
    "requires_resources(cpus=0)": "cpus=0 must be a whole number above 0",
    "requires_resources(memory='much')": "memory='much' must be a number of bytes*",
}


@pytest.mark.parametrize("more", [(), ("-n", "2")])
def test_wrong_markers_are_usage_errors_that_name_their_tests_before_any_test_runs(
    run: Run, more: tuple[str, ...]
) -> None:
    tests = [
        f"@pytest.mark.{marker}\ndef test_{number}(): pass\n"
        for number, marker in enumerate(WRONG_MARKERS)
    ]
    result = run("import pytest\n" + "\n".join(tests), *more)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"*test_it.py::test_{number}: marker {marker.partition('(')[0]}: {problem}"
            for number, (marker, problem) in enumerate(WRONG_MARKERS.items())
        ]
    )
    assert "passed" not in result.stdout.str()


def test_a_checker_that_nobody_has_is_a_usage_error(run: Run) -> None:
    result = run(NOTHING, "--fleetq-checkers=conservatoin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*fleetq_checkers*: no checker 'conservatoin'; there are *"])


def test_the_markers_are_there_for_every_project(run: Run) -> None:
    source = """
    import pytest

    @pytest.mark.performance
    def test_quick(): pass

    @pytest.mark.performance
    @pytest.mark.slow
    def test_slow(): assert False

    @pytest.mark.integration
    @pytest.mark.requires_resources(cpus=1)
    def test_other(): assert False
    """
    result = run(source, "--strict-markers", "-m", "performance and not slow")
    result.assert_outcomes(passed=1, deselected=2)


def test_the_page_on_options_has_every_one_as_it_is() -> None:
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    start = page.index("| option |")
    table = page[start : page.index("\n\n", start)].splitlines()
    ours = [line for line in table[2:] if line.startswith("| `--fleetq-")]
    assert ours == [_row(option) for option in OPTIONS]


def _row(option: Option) -> str:
    flag = option.flag if option.is_flag else f"{option.flag} {option.metavar}"
    default = "" if option.default in (None, (), False) else f"`{option.default}`"
    names = f"`{flag}` | `{option.variable}` | `{option.ini}`"
    return f"| {names} | {default} | {option.must_be} | {option.help} |"


# Both start as pytest starts, in a process that has loaded pytest already: what is left is what
# the plugin adds, its import, its options, its hooks.
START_UP = """
import os, time
from statistics import median
from _pytest.config import get_config
import pytest

get_config()  # loads what every pytest loads
EMPTY, OURS = ["-p", "no:fleetq"], ["-p", "pytest_fleetq.plugin"]

def started(arguments):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        begin = time.process_time()
        pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "empty", *arguments])
        os.write(writer, b"%f" % (time.process_time() - begin))
        os._exit(0)
    os.wait()
    return float(os.read(reader, 100))

os.mkdir("empty")
started(OURS)  # leaves its byte code
least, shares = 1e9, []
for number in range(40):  # in pairs, as a busy machine slows both
    empty = started(EMPTY)
    least = min(least, empty)
    shares.append(started(OURS) / empty - 1)
    if number >= 9 and (added := median(shares) * least) < 0.020:
        break
print(added)
"""


def test_the_plugin_adds_less_than_20_ms_to_the_start_of_pytest(
    project: pytest.Pytester,
) -> None:
    result = project.run(sys.executable, "-c", START_UP, timeout=60)
    assert float(result.outlines[-1]) < 0.020, result.outlines


HEAVY = ("grpc", "google.protobuf", "psutil", "apsw", "asyncio", "pydantic", "fleetq_server.client")


def test_nothing_heavy_is_loaded_before_a_test_asks_for_a_cluster(run: Run) -> None:
    source = f"""
    import atexit, sys

    def tell():
        print("LOADED", sorted(set({HEAVY}) & sys.modules.keys()))

    atexit.register(tell)

    def test_it(cluster, inject_failure): pass
    """
    run(source, "--collect-only", "-s").stdout.fnmatch_lines(["LOADED []"])
