"""What one look at a fleet sees."""

from dataclasses import dataclass, field

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class SystemLook:
    cpu_percent: float  # of all cores
    memory_percent: float
    disk_percent: float


@dataclass(frozen=True, slots=True)
class PodLook:
    """A process of this machine; None for what its operating system would not tell."""

    pod: str
    pid: int
    cpu_percent: float  # of one core
    rss_mb: float
    threads: int
    fds: int | None
    running: int  # steps
    leader: bool = False


@dataclass(frozen=True, slots=True)
class QueueLook:
    """The fleet's counters, and what became of them since the look before, per second."""

    scheduled: int
    pending: int
    claimed: int
    completed: int
    failed: int
    submitted_per_second: float
    completed_per_second: float
    failure_percent: float | None  # None: too few steps have ended to say


@dataclass(frozen=True, slots=True)
class Look:
    at: float  # seconds since the epoch
    elapsed: float  # seconds since watching began
    system: SystemLook
    pods: tuple[PodLook, ...] = ()
    queues: QueueLook | None = None  # None: no pod answered, or there is no fleet
    elsewhere: tuple[str, ...] = ()  # pods on other hosts
    events: tuple[str, ...] = field(default=())
