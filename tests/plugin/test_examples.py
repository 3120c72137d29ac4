"""The first things a user tries."""

import pytest

from tests.plugin.conftest import Run

FIRST = """
import pytest

@pytest.mark.integration
def test_work_survives_the_leader(cluster, inject_failure):
    fleet = cluster(n_pods=3, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": i} for i in range(500)])
    inject_failure("kill", fleet.leader)
    assert fleet.client.wait(steps, timeout=10).completed == 500
"""

OWN_SERVER = """
import socket, socketserver, sys

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"peers " + sys.argv[4].encode() + b"\\n")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

Server(("127.0.0.1", int(sys.argv[2])), Echo).serve_forever()
"""

SECOND = """
import socket, sys
import pytest

def ask(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"?\\n")
        return connection.makefile().readline()

def test_partition(cluster, inject_failure):
    command = [sys.executable, "server.py", "--port", "{port}", "--peers", "{peers}"]
    fleet = cluster(n_pods=3, command=command, ready="tcp")
    assert ask(fleet.pods[0].address).count(":") == 2
    fault = inject_failure("partition", fleet.pods[0])
    with pytest.raises(OSError):
        assert ask(fleet.pods[0].address)
        raise ConnectionError("an empty answer")
    assert ask(fleet.pods[1].address)
    fault.heal()
    assert ask(fleet.pods[0].address).startswith("peers ")
"""


def test_a_project_without_conftest_tests_that_work_survives_the_leader(run: Run) -> None:
    run(FIRST, "-W", "error", "--strict-markers").assert_outcomes(passed=1)


def test_a_server_of_ones_own_is_partitioned_and_heals(run: Run, project: pytest.Pytester) -> None:
    project.makepyfile(server=OWN_SERVER)
    run(SECOND).assert_outcomes(passed=1)


def test_a_cluster_lives_outside_of_fixtures_too(run: Run) -> None:
    source = """
    import pytest_fleetq

    def test_it():
        with pytest_fleetq.Cluster(2, handlers="my_handlers") as fleet:
            steps = fleet.client.submit("resize", [{"n": 1}])
            assert fleet.client.wait(steps, timeout=10).ok
            pids = [pod.pid for pod in fleet.pods]
        assert not any(pod.alive for pod in fleet.pods)
    """
    run(source).assert_outcomes(passed=1)


def test_async_tests_need_nothing_configured(run: Run) -> None:
    source = """
    import asyncio
    import pytest

    async def work(fleet):
        return await asyncio.to_thread(fleet.client.submit, "resize", [{"n": 1}])

    @pytest.mark.asyncio
    async def test_with_asyncio(cluster):
        assert await work(cluster(1, handlers="my_handlers"))

    @pytest.mark.anyio
    async def test_with_anyio(cluster):
        assert await work(cluster(1, handlers="my_handlers"))

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
    """
    run(source, "-W", "error").assert_outcomes(passed=2)


def test_it_can_be_switched_off(run: Run) -> None:
    result = run("def test_it(): pass", "-p", "no:fleetq", "-p", "no:pytest_fleetq.plugin")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*fleetq: seed*")
