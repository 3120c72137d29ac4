"""The pytest plugin: options, markers, fixtures, and what is added to reports.

Importing it costs next to nothing: everything that starts processes is loaded by the first test
that asks for a cluster.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fleetq import doubts, hookspecs, workers
from pytest_fleetq.markers import declared, resources
from pytest_fleetq.markers.checkers import unknown_checker
from pytest_fleetq.options import add_options, read_options
from pytest_fleetq.perf.budget import marker as budgets
from pytest_fleetq.perf.budget import table

if TYPE_CHECKING:
    from pytest_fleetq.house import Keeper
    from pytest_fleetq.injecting import Injector
    from pytest_fleetq.perf.budget.budget import PerfBudget
    from pytest_fleetq.trial import Trial

OPTIONS = pytest.StashKey[Mapping[str, Any]]()
KEEPER: "pytest.StashKey[Keeper]" = pytest.StashKey()
TRIAL: "pytest.StashKey[Trial]" = pytest.StashKey()
DEADLINE = pytest.StashKey[float]()  # when pytest-timeout will end the test
BUDGET: "pytest.StashKey[PerfBudget]" = pytest.StashKey()


# --- start-up ---


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    declared.declare(config)
    budgets.declare(config)
    config.stash[OPTIONS] = read_options(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers of xdist have the seed of the process that starts them."""
    node.workerinput[workers.SEED] = node.config.stash[OPTIONS]["seed"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    workers.listen(node)


def pytest_report_header(config: pytest.Config) -> str:
    return f"fleetq: seed {config.stash[OPTIONS]['seed']}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    try:
        if problem := unknown_checker(config, config.stash[OPTIONS]):
            raise pytest.UsageError(f"fleetq_checkers or fleetq_silence: {problem}")
        declared.check(config, items)
        budgets.check(items)
    except pytest.UsageError as error:
        workers.refuse(config, items, error)


# --- fixtures ---


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> "Callable[..., Any]":
    """Starts clusters of real processes: `fleet = cluster(n_pods, …)`; they end with the test.

    cluster(n_pods, *, handlers=, command=, launcher=, store=, env=, config=, ready=, links=,
            clock=, name=, timeout=, leader=, allow_exits=, other_clients=)

    Args:
        n_pods: How many pods.
        handlers: Modules whose handlers the pods run, by name: one or several. FLEET-Q pods.
        command: The words that start a pod of your own, or a function that is given a Plan and
            returns them. `{port}`, `{host}`, `{index}`, `{name}`, `{dir}` (the pod's folder),
            `{store}`, `{self}` (host:port), `{python}` and `{peers}` (the others' host:port,
            separated by commas) are replaced, here and in `env`.
        launcher: The name of a launcher that a plugin brings, instead of a command.
        store: For FLEET-Q pods "sqlite" (the default: a new file), "postgresql" or a URL; for
            others the name of a folder that they share.
        env: Added to the pods' environment.
        config: Settings of FLEET-Q pods by name, or the path of a settings file.
        ready: "grpc", "tcp", "http://{self}/path", "log:REGEX", "started" or a function of the
            pod. "tcp" unless given, or "started" where the command is told no port.
        links: Whether traffic runs through proxies, so that network faults are possible. True
            unless given where the command or `env` names `{peers}`, otherwise False.
        clock: Whether clock faults are possible for pods of a command; needs libfaketime, from
            `pip install "pytest-fleetq[clock]"`. Those of FLEET-Q pods always are.
        name: For reports.
        timeout: Seconds until all pods must be ready, and that `wait_until` waits.
        leader: A function that finds the leader among pods that are not FLEET-Q's.
        allow_exits: A pod that ends by itself does not fail the test.
        other_clients: Handlers or programs of yours submit steps too, which is not in the history:
            steps that no recorded call made are no surprise then.

    Returns:
        A `pytest_fleetq.cluster.fleet.Fleet`.

    Raises:
        PodFailed: a pod ended or was not ready in time; with its exit status and log.
        BadRequest: arguments that contradict each other.
    """
    return _trial(request).cluster


@pytest.fixture
def inject_failure(request: pytest.FixtureRequest) -> "Injector":
    """Makes faults happen: `inject_failure("kill", fleet.leader)`; all heal with the test's end.

    See `pytest_fleetq.injecting.Injector`.
    """
    return _trial(request).inject


@pytest.fixture
def perf_budget(request: pytest.FixtureRequest) -> "Iterator[PerfBudget]":
    """What a test may cost: `perf_budget("claim.p99 <= 50ms", "rss_peak <= 200MB")`, judged at its
    end; `perf_budget.load(rate=, duration=, mix=)` puts the pods under load. Also as a marker.

    See `pytest_fleetq.perf.budget.budget.PerfBudget`.
    """
    trial, item = _trial(request), request.node
    make = import_module("pytest_fleetq.perf.budget.budget").PerfBudget
    budget = make(trial.session, lambda: trial.fleets, budgets.expressions(item))
    item.stash[BUDGET] = budget
    yield budget
    budget.close()


def _trial(request: pytest.FixtureRequest) -> "Trial":
    item: pytest.Item = request.node
    config = request.config
    if TRIAL not in item.stash:
        if KEEPER not in config.stash:
            house = import_module("pytest_fleetq.house")
            config.stash[KEEPER] = house.Keeper(config, config.stash[OPTIONS])
        trial: Trial = config.stash[KEEPER].trial(item)
        item.stash[TRIAL] = trial
        if DEADLINE in item.stash:
            trial.ends_at(item.stash[DEADLINE])
        item.addfinalizer(trial.close)
    return item.stash[TRIAL]


# --- while tests run ---


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Outermost: waiting for resources must not count as the test's own time."""
    with ExitStack() as held:
        for marker in item.iter_markers("requires_resources"):
            if not resources.lacking(marker.kwargs, item.config.rootpath):
                held.enter_context(resources.tokens(marker.kwargs))
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires_resources"):
        if reason := resources.lacking(marker.kwargs, item.config.rootpath):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Generator[None, object, object]:
    item.stash[DEADLINE] = time.monotonic() + settings.timeout
    if TRIAL in item.stash:  # it counts the body of the test only, and that is about to begin
        item.stash[TRIAL].ends_at(item.stash[DEADLINE])
    return (yield)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> Generator[None, object, object]:
    if TRIAL in item.stash:
        item.stash[TRIAL].survived()
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Innermost: what is wrong with the clusters is a failure of the test itself."""
    try:
        result = yield
    except (Exception, pytest.fail.Exception) as error:
        timed_out = time.monotonic() >= item.stash.get(DEADLINE, inf)
        if TRIAL in item.stash and not timed_out:
            for problem in _problems(item, item.stash[TRIAL], failed=True):
                error.add_note(f"fleetq: {problem}")
        raise
    if TRIAL in item.stash:
        _conclude(item, item.stash[TRIAL])
    return result


def _problems(item: pytest.Item, trial: "Trial", *, failed: bool) -> list[str]:
    budget = item.stash.get(BUDGET, None)
    if budget is None:
        return trial.conclude()
    problems = [*budget.end_loads(at_once=failed), *trial.conclude(), *budget.conclude()]
    item.user_properties += list(budget.properties().items())
    return problems


def _conclude(item: pytest.Item, trial: "Trial") -> None:
    problems = _problems(item, trial, failed=False)
    item.user_properties += list(trial.properties().items())
    if item.config.stash[OPTIONS]["unknown"] == "fail":
        problems += trial.doubts
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and BUDGET in item.stash:
        setattr(report, table.ATTRIBUTE, item.stash[BUDGET].told())
    if TRIAL in item.stash:
        _tell(item.stash[TRIAL], report, item.config.hook)
    return report


def _tell(trial: "Trial", report: pytest.TestReport, hook: Any) -> None:
    more: list[tuple[str, str]] = []
    if report.failed:
        for fleet in trial.fleets:
            for found in hook.pytest_fleetq_report_sections(fleet=fleet):
                more += found
        report.sections += [*trial.sections(), *more]
    trial.heard(report, more)


# --- the end ---


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if KEEPER in session.config.stash:
        session.config.stash[KEEPER].close()
        workers.tell_kept(session.config, session.config.stash[KEEPER].kept)


# pytest 8.2 has no such name yet.
def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    config = terminalreporter.config
    if kept := config.stash.get(workers.KEPT, []):
        terminalreporter.section("fleetq")
        terminalreporter.write_line(f"clusters are kept in {', '.join(kept)}")
    if unknown := list(doubts.lines(terminalreporter.stats)):
        terminalreporter.section("fleetq: verdicts that are unknown")
        for line in unknown:
            terminalreporter.write_line(line)
    if rows := list(table.lines(terminalreporter.stats)):
        terminalreporter.section("fleetq budgets")
        for line in rows:
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    if KEEPER in config.stash:
        config.stash[KEEPER].close()
