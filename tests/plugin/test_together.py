"""Side by side with xdist, and clusters that tests share."""

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fleetq.cluster.identity import identity
from pytest_fleetq.cluster.request import Request, make_request
from tests.plugin.conftest import Run

pytestmark = pytest.mark.commands

TWO = """
import pytest

@pytest.mark.parametrize("n", range(2))
def test_it(cluster, inject_failure, n):
    fleet = cluster(2, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": i} for i in range(20)])
    inject_failure("kill", fleet.pods[n])
    assert fleet.client.wait(steps, timeout=20).completed == 20
    assert inject_failure.seed.startswith("11:")
"""

# Which pods the tests of which place have.
SHARING = """
import os
import pytest

seen = {}

def use(cluster, place):
    fleet = cluster(1, handlers="my_handlers")
    seen.setdefault(place, []).append(fleet.pods[0].pid)
    assert fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]), timeout=10).ok

@pytest.mark.fleetq(scope="class")
class TestOne:
    @pytest.mark.parametrize("n", range(2))
    def test_it(self, cluster, n):
        use(cluster, "one class")

@pytest.mark.fleetq(scope="class")
class TestTwo:
    def test_it(self, cluster):
        use(cluster, "other class")

@pytest.mark.fleetq(scope="function")
@pytest.mark.parametrize("n", range(2))
def test_own(cluster, n):
    use(cluster, "own")

@pytest.mark.fleetq(scope="session")
@pytest.mark.parametrize("n", range(2))
def test_session(cluster, n):
    use(cluster, "session")

@pytest.mark.parametrize("n", range(2))
def test_by_option(cluster, n):
    use(cluster, "by option")

def test_arguments_tell_them_apart(cluster):
    assert cluster(1, handlers="my_handlers", name="other").pods[0].pid not in seen["by option"]

def test_the_end():
    numbers = {place: len(set(pids)) for place, pids in seen.items()}
    assert numbers == {"one class": 1, "other class": 1, "own": 2, "session": 1, "by option": 1}
    assert len({pid for pids in seen.values() for pid in pids}) == 6
"""

COMMON_CONFTEST = """
import os
from pathlib import Path

FOLDER = Path(__file__).parent

def pytest_fleetq_cluster_ready(fleet):
    write("ready", os.getpid())

def pytest_fleetq_cluster_ending(fleet):
    write("ending", os.getpid())

def write(name, what):
    with (FOLDER / name).open("a") as file:
        file.write(f"{what}\\n")

def lines(name):
    path = FOLDER / name
    return path.read_text().splitlines() if path.exists() else []
"""

COMMON = """
import os, signal
import pytest
from conftest import lines, write
from pytest_fleetq.cluster.errors import BadRequest, ClusterError

pytestmark = pytest.mark.fleetq(scope="run")

def pods(cluster):
    queue = cluster(2, handlers="my_handlers")
    own = cluster(1, command=["sleep", "1000"], ready=lambda pod: pod.alive)
    write("pids", " ".join(str(pod.pid) for pod in (*queue.pods, *own.pods)))
    return queue, own

def test_work(cluster):
    queue, own = pods(cluster)
    steps = queue.client.submit("resize", [{"n": n} for n in range(20)])
    assert queue.client.wait(steps, timeout=10).completed == 20
    assert queue.leader in queue.pods
    assert '"leading"' in queue.logs()

def test_harm_is_refused(cluster, inject_failure):
    queue, own = pods(cluster)
    with pytest.raises(BadRequest, match="needs one of its own"):
        inject_failure("kill", queue.pods[0])
    with pytest.raises(BadRequest, match="needs one of its own"):
        inject_failure.schedule(["kill"], duration=1)
    for change in (own.add_pod, own.pods[0].kill, own.pods[0].stop, own.pods[0].pause):
        with pytest.raises(ClusterError, match="needs one of its own"):
            change()
    with pytest.raises(BadRequest, match="links=True"):
        cluster(1, command=["sleep", "1000"], links=True)

def test_a_worker_may_crash(cluster):
    queue, own = pods(cluster)
    write("in", os.environ["PYTEST_XDIST_WORKER"])
    queue.wait_until(lambda: len(set(lines("in"))) == 2, timeout=30)
    if str(os.getpid()) == lines("ready")[0]:  # who started the pods
        os.kill(os.getpid(), signal.SIGKILL)
    pid = int(lines("ready")[0])
    queue.wait_until(lambda: not os.path.exists(f"/proc/{pid}") or is_zombie(pid), timeout=30)
    assert queue.client.wait(queue.client.submit("resize", [{"n": 1}]), timeout=10).ok
    assert all(pod.alive for pod in (*queue.pods, *own.pods))

def is_zombie(pid):
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"

def test_a_pod_that_ends_is_told(cluster):
    command = ["sh", "-c", "echo goodbye; exec sleep 1000"]
    fleet = cluster(1, command=command, ready="log:goodbye", name="other")
    os.kill(fleet.pods[0].pid, signal.SIGKILL)
    fleet.wait_until(lambda: False)
"""


def test_workers_of_xdist_have_clusters_of_their_own_and_one_seed(run: Run) -> None:
    run(TWO, "-n", "2", "--fleetq-seed=11").assert_outcomes(passed=2)


def test_tests_share_clusters_where_option_or_marker_say_so(run: Run) -> None:
    run(SHARING, "--fleetq-scope=module", "-W", "error").assert_outcomes(passed=11)


EACH = ("--tx", "2*popen", "--dist=each", "--max-worker-restart=0")


@pytest.fixture
def common(project: pytest.Pytester, run: Run, traces):
    """Runs these tests of COMMON in each of two workers, and looks what they leave."""
    project.makeconftest(COMMON_CONFTEST)

    def go(names: str, *more: str) -> pytest.RunResult:
        result = run(COMMON, "-k", names, *more, timeout=90)
        assert [p.cmdline() for p in traces.processes()] == []
        assert traces.folders() == []
        return result

    return go


def written(project: pytest.Pytester, name: str) -> list[str]:
    path: Path = project.path / name
    return path.read_text().splitlines()


def test_all_workers_use_the_same_pods_and_the_last_one_out_ends_them(
    common: Run, project: pytest.Pytester
) -> None:
    result = common("test_work or test_harm", *EACH)
    result.assert_outcomes(passed=4)
    pids = written(project, "pids")
    assert len(pids) == 4
    assert len(set(pids)) == 1
    assert (len(written(project, "ready")), len(written(project, "ending"))) == (2, 2)


def test_a_worker_that_crashes_leaves_its_pods_to_the_others(common: Run) -> None:
    common("test_a_worker", *EACH).assert_outcomes(passed=1, failed=1)


def test_without_xdist_a_common_cluster_is_the_same(common: Run, project: pytest.Pytester) -> None:
    result = common("test_work or test_harm or test_a_pod")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*PodFailed: pod-0 ended; its log ends:*", "*goodbye*"])
    assert len(set(written(project, "pids"))) == 1


def test_a_request_is_the_same_wherever_its_functions_are_made_again() -> None:
    def made(port: int = 1, name: str = "cluster", ready_at: int = 3) -> Request:
        return make_request(
            2, command=["x", str(port)], env={"b": "1", "a": "2"}, name=name,
            ready=lambda pod: pod.index == ready_at,
        )  # fmt: skip

    assert identity(made()) == identity(made())
    different = [made(port=2), made(name="other"), made(ready_at=4), make_request(2)]
    assert len({identity(request) for request in (made(), *different)}) == 5


BEGIN = """
import sys
from pathlib import Path
from pytest_fleetq.cluster.session import Session

sys.stdin.readline()
for _ in range(20):
    session = Session(Path(sys.argv[1]))
    assert session.directory.exists()
    session.close()
"""


def test_runs_that_begin_at_the_same_moment_do_not_take_each_other_for_dead(
    project: pytest.Pytester, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", BEGIN, str(tmp_path)]
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(3)]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(b"go\n")
        run.stdin.close()
    for run in runs:
        run.wait(60)
    assert [run.returncode for run in runs] == [0, 0, 0]
