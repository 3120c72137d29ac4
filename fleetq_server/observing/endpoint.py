"""/metrics, /healthz and /readyz of one pod. Who may ask is decided as for its gRPC port."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module

from fleetq_server.config import Settings
from fleetq_server.errors import ConfigError, Forbidden, Unauthorized
from fleetq_server.observing.http import HttpServer, Request, Response, said
from fleetq_server.observing.look import Look, Looker
from fleetq_server.observing.tls import server_context
from fleetq_server.rpc.security.gate import TokenGate
from fleetq_server.rpc.security.rights import check_right
from fleetq_server.telemetry import get_logger

SAME_FIGURES = "/fleetq.v1.FleetService/GetStats"  # whoever may call this may see metrics

log = get_logger()


class Endpoint:
    """Probes need no token, as with gRPC: they tell whether a pod serves, and nothing of what."""

    def __init__(self, settings: Settings, looker: Looker, gate: TokenGate | None) -> None:
        """Raises: ConfigError naming the file that cannot be used, or the package that lacks."""
        self.ready = False
        self._address = settings.metrics
        self._looker = looker
        self._gate = gate
        self._render = _renderer()
        self._http = HttpServer(self._answer, server_context(settings))

    async def start(self) -> str:
        """→ the address served. Raises: ConfigError naming it."""
        address = await self._http.start(self._address)
        log.info("serving metrics", address=address)
        return address

    def close(self) -> None:
        self._http.close()

    async def _answer(self, request: Request) -> Response:
        match request.path:
            case "/healthz":
                return said(HTTPStatus.OK, "ok")
            case "/readyz" if self.ready:
                return said(HTTPStatus.OK, "ready")
            case "/readyz":
                return said(HTTPStatus.SERVICE_UNAVAILABLE, "not ready")
            case "/metrics":
                return self._refusal(request) or await self._metrics()
        return said(HTTPStatus.NOT_FOUND, "ask for /metrics, /healthz or /readyz")

    def _refusal(self, request: Request) -> Response | None:
        if self._gate is None:
            return None
        try:
            shown = request.headers.get("authorization", "")
            check_right(self._gate.principal({"authorization": shown}), SAME_FIGURES)
        except Forbidden as error:
            return said(HTTPStatus.FORBIDDEN, str(error))
        except Unauthorized as error:
            return said(HTTPStatus.UNAUTHORIZED, str(error), "WWW-Authenticate: Bearer")
        return None

    async def _metrics(self) -> Response:
        look = await self._looker.look()
        return await asyncio.to_thread(self._render, look)  # long, if there are many queues


def _renderer() -> Callable[[Look], Response]:
    """The library is an extra."""
    try:
        exposition = import_module("fleetq_server.observing.exposition")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"metrics= needs {error.name}: pip install 'pytest-fleetq[metrics]'"
        ) from error
    render: Callable[[Look], Response] = exposition.response
    return render
