"""What users may import, and what that costs them."""

import subprocess
import sys

from fleetq_server import client


def test_the_public_names_are_pinned() -> None:
    assert sorted(client.__all__) == [
        "AsyncClient",
        "Client",
        "Grant",
        "Pod",
        "StepOutcome",
        "StepsFailed",
        "TimedBeatReply",
        "Tls",
        "WaitResult",
        "Worker",
    ]
    for name in client.__all__:
        assert getattr(client, name).__doc__


def test_both_faces_have_the_same_calls() -> None:
    def calls(face: type) -> set[str]:
        return {name for name in dir(face) if not name.startswith("_")}

    assert calls(client.AsyncClient) - calls(client.Client) == {"worker"}
    assert calls(client.Client) - calls(client.AsyncClient) == {"run", "iterate"}


def test_a_client_that_only_submits_does_not_load_the_core() -> None:
    code = "import sys, fleetq_server.client; sys.exit('fleetq_server.core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
