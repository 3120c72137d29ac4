"""Side by side with xdist, and clusters that tests share."""

import pytest

from tests.plugin.conftest import Run

EIGHT = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(cluster, inject_failure, n, pytestconfig, record_property):
    fleet = cluster(2, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": i} for i in range(20)])
    inject_failure("kill", fleet.pods[n % 2])
    assert fleet.client.wait(steps, timeout=20).completed == 20
    assert inject_failure.seed.startswith("11:")
"""

SHARED = """
import pytest

seen = []

@pytest.mark.parametrize("n", range(3))
def test_it(cluster, n):
    fleet = cluster(1, handlers="my_handlers")
    seen.append(fleet.pods[0].pid)
    assert fleet.client.wait(fleet.client.submit("resize", [{"n": n}]), timeout=10).ok
    assert len(set(seen)) == EXPECTED

@pytest.mark.fleetq(scope="function")
def test_own(cluster):
    assert cluster(1, handlers="my_handlers").pods[0].pid not in seen
"""


def test_workers_of_xdist_have_clusters_of_their_own_and_one_seed(run: Run) -> None:
    run(EIGHT, "-n", "2", "--fleetq-seed=11").assert_outcomes(passed=4)


@pytest.mark.parametrize("scope", ["module", "session", "class"])
def test_tests_share_a_cluster_where_the_option_says_so(run: Run, scope: str) -> None:
    source = SHARED.replace("EXPECTED", "1")
    run(source, f"--fleetq-scope={scope}", "-W", "error").assert_outcomes(passed=4)


def test_each_test_has_its_own_cluster_by_default(run: Run) -> None:
    run(SHARED.replace("EXPECTED", "n + 1")).assert_outcomes(passed=4)


def test_a_marker_decides_for_its_tests(run: Run) -> None:
    marked = "import pytest\npytestmark = pytest.mark.fleetq(scope='module')\n"
    source = SHARED.replace("EXPECTED", "1").replace("\nimport pytest\n", marked, 1)
    run(source).assert_outcomes(passed=4)
