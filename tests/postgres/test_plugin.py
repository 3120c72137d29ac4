"""`cluster(n, store="postgresql")`."""

import pytest

TEST = """
def test_it(cluster):
    fleet = cluster(2, store="postgresql", handlers="my_handlers")
    assert fleet.store.startswith("postgresql://")
    client = fleet.client
    client.wait(client.submit("nothing", [{}] * 20), timeout=60, strict=True)
"""
HANDLERS = """
from fleetq_server import handler

@handler("nothing")
async def nothing(ctx):
    pass
"""


def test_a_cluster_gets_a_database_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=TEST, my_handlers=HANDLERS)
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
