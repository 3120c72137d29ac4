"""Options, markers, and what their import costs."""

import subprocess
import sys

import pytest

from tests.plugin.conftest import ROOT, Run

SHOW_SEED = "def test_it(pytestconfig): pass"


@pytest.mark.parametrize(
    ("flags", "environment", "ini", "seed"),
    [
        (["--fleetq-seed=1"], "2", "3", "1"),
        ([], "2", "3", "2"),
        ([], "", "3", "3"),
    ],
)
def test_the_command_line_comes_before_the_environment_before_the_ini_file(
    run: Run, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch,
    flags: list[str], environment: str, ini: str, seed: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FLEETQ_SEED", environment)
    project.makeini(f"[pytest]\nfleetq_seed = {ini}")
    run(SHOW_SEED, *flags).stdout.fnmatch_lines([f"fleetq: seed {seed}"])


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--fleetq-seed=x", "*--fleetq-seed='x' must be a whole number*"),
        ("--fleetq-scope=galaxy", "*--fleetq-scope='galaxy' must be one of function, class*"),
        ("--fleetq-timeout=0", "*--fleetq-timeout='0' must be a number of seconds above 0*"),
    ],
)
def test_a_wrong_option_is_a_usage_error(run: Run, flag: str, message: str) -> None:
    result = run(SHOW_SEED, flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        ("fleetq(scope='galaxy')", "scope='galaxy' must be one of *"),
        ("fleetq(checkers='one')", "checkers='one' must be a list of names"),
        ("fleetq(colour=1)", "has no argument 'colour'; there is *"),
        ("fleetq(3)", "takes only named arguments*"),
        ("requires_resources(cpus=0)", "cpus=0 must be a whole number above 0"),
        ("requires_resources(memory='much')", "memory='much' must be a number of bytes*"),
    ],
)
def test_a_wrong_marker_is_a_usage_error_that_names_the_test(
    run: Run, marker: str, problem: str
) -> None:
    source = f"import pytest\n@pytest.mark.{marker}\ndef test_it(): pass"
    result = run(source)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = marker.partition("(")[0]
    result.stderr.fnmatch_lines([f"*test_it.py::test_it: marker {name}: {problem}"])


def test_a_checker_that_nobody_has_is_named_with_the_test(run: Run) -> None:
    result = run("def test_it(cluster): pass", "--fleetq-checkers=conservatoin")
    result.stdout.fnmatch_lines(["*test_it.py::test_it: no checker 'conservatoin'*"])


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


def test_importing_the_plugin_costs_less_than_20_ms_beside_pytest() -> None:
    code = (
        "import time, pytest\n"
        "begin = time.process_time()\n"
        "import pytest_fleetq.plugin\n"
        "print(time.process_time() - begin)"
    )
    took = [
        float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)) for _ in range(5)
    ]
    assert min(took) < 0.020, took


def test_nothing_heavy_is_loaded_before_a_test_asks_for_a_cluster(run: Run) -> None:
    source = """
    import atexit, sys

    def tell():
        heavy = {"grpc", "psutil", "apsw", "google", "fleetq_server.client"}
        print("LOADED", sorted(heavy & sys.modules.keys()))

    atexit.register(tell)

    def test_it(cluster): pass
    """
    run(source, "--collect-only", "-s").stdout.fnmatch_lines(["LOADED []"])
