"""When a pod counts as ready.

    "grpc"              grpc.health.v1 says SERVING
    "tcp"               its port takes a connection
    "http://…/path"     answers with a status below 400; placeholders as in commands
    "log:REGEX"         a line of its log, since this start, matches
    a callable          given the pod, returns something true; an OSError counts as no
    "started"           it runs: nothing more can be known

A probe looks once and returns; whoever waits repeats it, and looks in between whether the pod still
lives, so that a dead pod is told at once and not after the time is over.
"""

import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_fleetq.cluster.errors import BadRequest

if TYPE_CHECKING:
    from pytest_fleetq.cluster.pod import Pod

LOOK_SECONDS = 1.0

Probe: TypeAlias = Callable[["Pod"], object]
Probes: TypeAlias = Mapping[str, Callable[[str], Probe]]  # word → what follows its colon → probe
Ready: TypeAlias = "str | Probe | None"


def make_probe(ready: Ready, more: Probes) -> Probe:
    """Raises: BadRequest."""
    if callable(ready):
        return ready
    if not isinstance(ready, str):
        raise BadRequest(f"ready={ready!r}: give a word, a URL, log:REGEX or a callable")
    word, _, rest = ready.partition(":")
    if word in more:
        return more[word](rest)
    if word in ("http", "https"):
        return _answers(ready)
    if word == "log":
        return _logged(ready, rest)
    if ready in _SIMPLE:
        return _SIMPLE[ready]
    known = ", ".join([*_SIMPLE, "http://…", "log:REGEX", *more])
    raise BadRequest(f"ready={ready!r}: there is {known}, or a callable")


def _takes_connections(pod: "Pod") -> bool:
    with suppress(OSError), socket.create_connection((pod.host, pod.port), LOOK_SECONDS):
        return True
    return False


def _serves_grpc(pod: "Pod") -> bool:
    # gRPC takes a while to load, and most services have no need of it.
    probe = import_module("pytest_fleetq.cluster.grpc_health")
    return bool(probe.is_serving(f"{pod.host}:{pod.port}", LOOK_SECONDS))


def _started(_: "Pod") -> bool:
    return True


_SIMPLE: Mapping[str, Probe] = {
    "grpc": _serves_grpc,
    "tcp": _takes_connections,
    "started": _started,
}


def _answers(url: str) -> Probe:
    # No proxy of the environment may come between a test and its pods.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def look(pod: "Pod") -> bool:
        try:
            with opener.open(pod.fill(url), timeout=LOOK_SECONDS):
                return True
        except (OSError, urllib.error.HTTPError):
            return False

    return look


def _logged(ready: str, pattern: str) -> Probe:
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise BadRequest(f"ready={ready!r}: {error}") from None

    def look(pod: "Pod") -> Any:
        return any(wanted.search(line) for line in pod.log_since_start().splitlines())

    return look
