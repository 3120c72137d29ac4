"""The pytest plugin: options, markers, fixtures, and what is added to reports.

Importing it costs next to nothing: everything that starts processes is loaded by the first test
that asks for a cluster.
"""

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fleetq import hookspecs
from pytest_fleetq.markers import declared, resources
from pytest_fleetq.options import add_options, read_options

if TYPE_CHECKING:
    from pytest_fleetq.house import Keeper
    from pytest_fleetq.injecting import Injector
    from pytest_fleetq.trial import Trial

OPTIONS = pytest.StashKey[Mapping[str, Any]]()
KEEPER: "pytest.StashKey[Keeper]" = pytest.StashKey()
TRIAL: "pytest.StashKey[Trial]" = pytest.StashKey()


class UnknownVerdict(pytest.PytestWarning):
    """A checker could not tell whether a rule was kept."""


# --- start-up ---


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    declared.declare(config)
    config.stash[OPTIONS] = read_options(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers of xdist have the seed of the process that starts them."""
    node.workerinput["fleetq_seed"] = node.config.stash[OPTIONS]["seed"]


def pytest_report_header(config: pytest.Config) -> str:
    return f"fleetq: seed {config.stash[OPTIONS]['seed']}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    declared.check(items)


# --- fixtures ---


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> "Callable[..., Any]":
    """Starts clusters of real processes: `fleet = cluster(n_pods, …)`; they end with the test.

    cluster(n_pods, *, handlers=, command=, launcher=, store=, env=, config=, ready=, links=, name=,
            timeout=, leader=, allow_exits=)

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
        name: For reports.
        timeout: Seconds until all pods must be ready, and that `wait_until` waits.
        leader: A function that finds the leader among pods that are not FLEET-Q's.
        allow_exits: A pod that ends by itself does not fail the test.

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


def _trial(request: pytest.FixtureRequest) -> "Trial":
    item: pytest.Item = request.node
    config = request.config
    if TRIAL not in item.stash:
        if KEEPER not in config.stash:
            house = import_module("pytest_fleetq.house")
            config.stash[KEEPER] = house.Keeper(config, config.stash[OPTIONS])
        trial: Trial = config.stash[KEEPER].trial(item)
        item.stash[TRIAL] = trial
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


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Innermost: what is wrong with the clusters is a failure of the test itself."""
    try:
        result = yield
    except Exception as error:
        if TRIAL in item.stash and not isinstance(error, pytest.skip.Exception):
            for problem in item.stash[TRIAL].conclude():
                error.add_note(f"fleetq: {problem}")
        raise
    if TRIAL in item.stash:
        _conclude(item, item.stash[TRIAL])
    return result


def _conclude(item: pytest.Item, trial: "Trial") -> None:
    problems = trial.conclude()
    item.user_properties += list(trial.properties().items())
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
    for doubt in trial.doubts:
        warnings.warn(UnknownVerdict(doubt), stacklevel=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and TRIAL in item.stash:
        report.sections += item.stash[TRIAL].sections()
        hook = item.config.hook.pytest_fleetq_report_sections
        for fleet in item.stash[TRIAL].fleets:
            report.sections += [section for found in hook(fleet=fleet) for section in found]
    return report


# --- the end ---


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if KEEPER in session.config.stash:
        session.config.stash[KEEPER].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if KEEPER in config.stash and (kept := config.stash[KEEPER].kept):
        terminalreporter.section("fleetq")
        terminalreporter.write_line(f"clusters are kept in {kept}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if KEEPER in config.stash:
        config.stash[KEEPER].close()
