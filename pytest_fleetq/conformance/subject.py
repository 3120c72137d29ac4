"""The worker on trial: a command, started with the address of its proxy."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_fleetq.conformance.rules import Trouble
from pytest_fleetq.faults.tether import tethered

TAIL = 5  # lines


class Subject:
    """FLEET_Q_ADDRESS in its environment, or {address} in the command, tells it where to go."""

    def __init__(self, command: Sequence[str], address: str) -> None:
        self._command = [word.replace("{address}", address) for word in command]
        self._environment = {**os.environ, "FLEET_Q_ADDRESS": address}
        self._process: asyncio.subprocess.Process | None = None
        handle, name = tempfile.mkstemp(prefix="fleetq-conformance-")
        os.close(handle)
        self._log = Path(name)

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tethered(self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # so that what it starts is killed with it
            )

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    def terminate(self) -> None:
        """SIGTERM to the process alone, as supervisors of containers do."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def gone(self) -> int:
        """Its exit code, once it has one."""
        assert self._process is not None
        return await self._process.wait()

    async def exited(self, within: float) -> int:
        """Its exit code. Raises: Trouble if it still runs then."""
        try:
            return await asyncio.wait_for(self.gone(), within)
        except TimeoutError:
            raise Trouble(f"still ran {within:g} s later") from None

    async def kill(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def end(self) -> None:
        await self.kill()
        self._log.unlink(missing_ok=True)

    def said(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL:]
        return " / ".join(lines) or "nothing"
