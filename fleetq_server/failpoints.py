"""Named places where a test can make a pod die, stop, fail or dawdle; inert unless armed."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fleetq_server.errors import ConfigError

NAMES = frozenset(
    {
        "store.before_begin",
        "store.between_statements",
        "store.between_ops",
        "store.before_commit",
        "store.after_commit",
        "executor.before_handler",
        "executor.after_handler",
        "pod.ready",
        "leader.elected",
        "recovery.between_batches",
        "retention.between_batches",
    }
)

_SPEC = re.compile(r"(?P<name>[^=@]+)=(?P<action>[^@]+)(?:@(?P<nth>[0-9]+))?")


@dataclass(slots=True)
class _Point:
    act: Callable[[], None]
    nth: int | None
    origin: tuple[str, str] = ("", "")  # who armed it, and by which words
    hits: int = 0
    # Points are hit from the event loop, the writer thread and handler threads alike.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hit(self) -> None:
        with self.lock:
            self.hits += 1
            due = self.nth is None or self.hits == self.nth
        if due:
            self.act()


_armed: dict[str, _Point] = {}


def hit(name: str) -> None:
    """Does what was armed for `name`; next to nothing otherwise."""
    if _armed:
        point = _armed.get(name)
        if point is not None:
            point.hit()


def arm(spec: str, on_act: Callable[[str], None] | None = None) -> None:
    """Arms `name=action[@nth],…`: at every hit, or only at the nth.

    Actions: `kill` (SIGKILL to itself), `exit` (status 70, nothing cleaned up), `stop` (SIGSTOP
    to itself), `raise` (OSError), `delay:SECONDS` (blocks the thread). ConfigError if unreadable,
    and then nothing is armed. `on_act` is told the name before each action.
    """
    _armed.update([_parse(part, on_act) for part in _parts(spec)])


def arm_only(specs: Mapping[str, str], on_act: Callable[[str], None] | None = None) -> None:
    """Arms these, by who wants them, and nothing else. A point that the same one armed before, in
    the same words, goes on counting its hits. ConfigError as from `arm`."""
    wanted: dict[str, _Point] = {}
    for owner, spec in specs.items():
        for part in _parts(spec):
            name, point = _parse(part, on_act)
            point.origin = (owner, part)
            armed = _armed.get(name)
            wanted[name] = armed if armed and armed.origin == point.origin else point
    for name in _armed.keys() - wanted.keys():
        del _armed[name]
    _armed.update(wanted)


def disarm() -> None:
    """Makes every failpoint inert again."""
    _armed.clear()


def _parts(spec: str) -> Iterator[str]:
    return (part.strip() for part in spec.split(",") if part.strip())


def _parse(part: str, on_act: Callable[[str], None] | None) -> tuple[str, _Point]:
    match = _SPEC.fullmatch(part)
    if match is None:
        raise ConfigError(f"failpoints: {part!r} is not of the form name=action[@nth]")
    name, nth = match["name"], match["nth"]
    if name not in NAMES:
        raise ConfigError(f"failpoints: no failpoint {name!r}; known: {', '.join(sorted(NAMES))}")
    if nth is not None and int(nth) < 1:
        raise ConfigError(f"failpoints: {part!r}: hits are counted from 1")
    act = _action(match["action"], name)
    return name, _Point(_announced(act, name, on_act), int(nth) if nth else None)


def _announced(
    act: Callable[[], None], name: str, on_act: Callable[[str], None] | None
) -> Callable[[], None]:
    if on_act is None:
        return act

    def announced() -> None:
        on_act(name)
        act()

    return announced


def _action(text: str, name: str) -> Callable[[], None]:
    match text.partition(":"):
        case ("kill", "", ""):
            return lambda: os.kill(os.getpid(), signal.SIGKILL)
        case ("stop", "", ""):
            return _stop
        case ("exit", "", ""):
            return lambda: os._exit(70)
        case ("raise", "", ""):
            return lambda: _raise(name)
        case ("delay", ":", seconds) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", seconds):
            return lambda: time.sleep(float(seconds))
    raise ConfigError(
        f"failpoints: no action {text!r}; known: kill, exit, stop, raise, delay:SECONDS"
    )


def _stop() -> None:
    # Sent to the process, the signal may go to another thread first, and this one would run on
    # meanwhile: out of the transaction it was to stop in, say.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _raise(name: str) -> None:
    raise OSError(f"failpoint {name}")
