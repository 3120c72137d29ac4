"""One injection of a fault, from its start to its heal, and what it showed."""

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultHadNoEffect
from pytest_fleetq.faults.settings import settings_of

Record = Callable[[str, Mapping[str, object]], None]
"""Told of `fault.start`, `fault.effect`, `fault.end` and `fault.error`, each with a payload that
JSON can carry."""

_numbers = itertools.count(1)


class Injection:
    """What `inject_failure` returns. Heals when told to, when its `with` block ends, and after
    `duration` seconds if that was asked for; as often as one likes."""

    def __init__(
        self,
        fault: Fault,
        pods: Sequence[PodView],
        *,
        record: Record,
        duration: float | None = None,
    ) -> None:
        self.id = f"{fault.name}-{next(_numbers)}"
        self.fault = fault
        self.pods = tuple(pods)
        self.evidence: str | None = None  # what showed that it took effect, in words
        self.healed = False
        self._record = record
        self._duration = duration
        self._timer: threading.Timer | None = None
        self._turn = threading.RLock()
        self._late_error: BaseException | None = None

    def start(self, fleet: FleetView) -> Self:
        """Makes it happen. On an exception what was done so far is undone."""
        self._tell(
            "start",
            targets=[pod.name for pod in self.pods],
            settings=self.settings,
            colour=self.fault.colour,
        )
        try:
            self.fault.start(fleet, self.pods)
            self.look()
        except BaseException as error:
            self._tell("error", doing="start", error=str(error) or type(error).__name__)
            self._undo(error)
            raise
        if self._duration is not None:
            self._timer = threading.Timer(self._duration, self._heal_in_time)
            self._timer.daemon = True
            self._timer.start()
        return self

    @property
    def settings(self) -> dict[str, object]:
        return {name: getattr(self.fault, name) for name in settings_of(type(self.fault))}

    def look(self) -> str | None:
        """→ evidence that it took effect, if there is any by now."""
        with self._turn:
            found = self.fault.effect()
            if found and self.evidence is None:
                self._tell("effect", evidence=found)
            self.evidence = found or self.evidence
            return self.evidence

    def heal(self) -> None:
        """Undoes it; does nothing the second time, unless the first one failed."""
        with self._turn:
            if self.healed:
                return
            if self._timer is not None:
                self._timer.cancel()
            try:
                self._heal()
            except BaseException as error:
                self._tell("error", doing="heal", error=str(error) or type(error).__name__)
                raise
            self.healed = True
            self._tell("end", evidence=self.evidence)

    def check_effect(self) -> str:
        """→ the evidence. FaultHadNoEffect if there never was any; also raises what went wrong when
        it healed by itself."""
        if self._late_error is not None:
            raise self._late_error
        found = self.evidence or (None if self.healed else self.look())
        if not found:
            where = ", ".join(pod.name for pod in self.pods)
            raise FaultHadNoEffect(
                f"fault {self.fault.name!r} on {where} had no effect: nothing shows that it "
                f"happened; a test that passes with it proves nothing (settings: {self.settings})"
            )
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()

    def __repr__(self) -> str:
        where = ", ".join(pod.name for pod in self.pods)
        return f"<{self.id} on {where}: {'healed' if self.healed else 'active'}>"

    def _undo(self, failure: BaseException) -> None:
        try:
            self.heal()
        except Exception as error:
            failure.add_note(f"what was done could not be undone: {error}")

    def _heal(self) -> None:
        # Some evidence goes with the fault, some comes only when it ends: look before and after.
        try:
            self.look()
        finally:
            self.fault.heal()
        self.look()

    def _heal_in_time(self) -> None:
        try:
            self.heal()
        except BaseException as error:  # a timer has nobody to tell; `check_effect` does it
            self._late_error = error

    def _tell(self, phase: str, **payload: object) -> None:
        self._record(f"fault.{phase}", {"id": self.id, "fault": self.fault.name, **payload})
