"""All of a pod that is there to be watched, or nothing if its settings ask for nothing."""

from collections.abc import Callable, Mapping, Sequence

from fleetq_server.clock import Clock
from fleetq_server.config import Settings
from fleetq_server.core.reads import Reads
from fleetq_server.observing.endpoint import Endpoint
from fleetq_server.observing.look import Looker, Own
from fleetq_server.observing.measures import Measures
from fleetq_server.rpc.security.gate import TokenGate
from fleetq_server.store.base import Applied, Op


class Observing:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._measures = Measures(clock) if settings.metrics else None
        self._endpoint: Endpoint | None = None

    @property
    def ended(self) -> Callable[[Sequence[Op]], None] | None:
        """To be shown the outcomes of handlers, or nobody wants to see them."""
        return self._measures.ended if self._measures else None

    def committed(self, applied: Applied) -> None:
        if self._measures is not None:
            self._measures.committed(applied)

    def open(self, own: Callable[[], Own], reads: Reads, gate: TokenGate | None) -> None:
        """Raises: ConfigError naming the file that cannot be used, or the package that lacks."""
        if self._measures is not None:
            looker = Looker(own, self._measures, reads, self._clock)
            self._endpoint = Endpoint(self._settings, looker, gate)

    async def start(self) -> Mapping[str, str]:
        """→ what the ready line says of it. Raises: ConfigError naming the address."""
        return {} if self._endpoint is None else {"metrics": await self._endpoint.start()}

    def ready(self, ready: bool) -> None:
        if self._endpoint is not None:
            self._endpoint.ready = ready

    def close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
