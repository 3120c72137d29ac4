"""Everything FLEET-Q raises on purpose.

FleetError
├── InvalidArgument            a field of the request is wrong; `field` names it
├── NotFound                   no such step, queue, pod or holder
├── Conflict
│   ├── IdempotencyConflict    an idempotency key or request id came again with other content
│   └── IllegalTransition      the step, queue or pod is not in a state that allows this
├── LeaseLost                  the claim (or the whole holder) is no longer valid; `reason` says why
├── NotLeader                  the term given is not the current one
├── Overloaded                 too much is waiting; try again after `retry_after` seconds
├── Unavailable
│   ├── StoreUnavailable       the store did not take the write (disk, database, network)
│   ├── Draining               this pod is shutting down; ask another
│   ├── NoPodReachable         (client) none of the addresses answered
│   └── ClientClosed           (client) this client was closed: no repeat will help
├── DeadlineExceeded           (client) no answer within the call's deadline; the outcome is unknown
├── Unauthorized               missing or wrong credentials
│   └── Forbidden              the credentials are good, but give no right to this call
├── ConfigError                contradictory or unreadable settings
├── StoreRefused               the store must not be used as it is (affected SQLite, NFS)
└── InternalError              (client) the pod has a bug; `log_id` finds its log line

None of them knows gRPC: `rpc/status.py` maps them to codes, the client maps them back.
"""


class FleetError(Exception):
    """Base of all errors; `str(error)` is safe to show to a caller."""


class InvalidArgument(FleetError):
    """A field of the request is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(FleetError):
    """No such step, queue, pod or holder."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"no {what} {name!r}")
        self.what = what
        self.name = name


class Conflict(FleetError):
    """The request contradicts what is recorded."""


class IdempotencyConflict(Conflict):
    """A key or request id that was used before came again with other content."""

    def __init__(self, key: str, step_id: str | None = None) -> None:
        which = f" (step {step_id})" if step_id else ""
        super().__init__(f"key {key!r} was already used with other content{which}; use a new key")
        self.key = key
        self.step_id = step_id


class IllegalTransition(Conflict):
    """The thing is not in a state that allows this."""


class LeaseLost(FleetError):
    """The claim is no longer the caller's: stop the work, discard its outcome."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or f"claim lost: {reason}")
        self.reason = reason


class NotLeader(FleetError):
    """The term is over; whoever asked must stop acting as leader."""


class Overloaded(FleetError):
    """Too much is waiting already."""

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(f"{what}; try again in {retry_after:g} s")
        self.what = what
        self.retry_after = retry_after


class Unavailable(FleetError):
    """Not now, or not here; a repeat with the same request id is safe."""

    def __init__(self, message: str, retry_after: float = 0.2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(Unavailable):
    """The store did not take the write."""


class Draining(Unavailable):
    """This pod is shutting down."""


class NoPodReachable(Unavailable):
    """None of the given addresses answered."""


class ClientClosed(Unavailable):
    """The client was closed, or cannot work in this process; no repeat will help."""


class DeadlineExceeded(FleetError):
    """No answer in time; whether the call took effect is unknown."""


class Unauthorized(FleetError):
    """Missing or wrong credentials."""


class Forbidden(Unauthorized):
    """The credentials are good, but give no right to this call."""


class ConfigError(FleetError):
    """Settings that contradict each other or cannot be read."""


class StoreRefused(FleetError):
    """This store must not be used as it is."""


class InternalError(FleetError):
    """A pod failed in a way that is a bug."""

    def __init__(self, message: str, log_id: str = "") -> None:
        super().__init__(message)
        self.log_id = log_id
