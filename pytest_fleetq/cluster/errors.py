"""What can go wrong with a cluster itself.

ClusterError
├── BadRequest        arguments that contradict each other or cannot be had
├── PodFailed         a pod ended, or was not ready in time; carries its exit status and log
├── NotInTime         something that was waited for did not come
└── VerdictFailed     the checkers found the history to break a rule
"""


class ClusterError(Exception):
    """A cluster could not be made, or did not do as a test needs."""


class BadRequest(ClusterError):
    pass


class PodFailed(ClusterError):
    """A pod ended, or was not ready in time.

    Attributes:
        pod: Its name.
        status: Its exit status, -n if signal n ended it; None while it runs.
    """

    def __init__(self, pod: str, problem: str, status: int | None, log_tail: str) -> None:
        log = f"; its log ends:\n{log_tail}" if log_tail else "; it logged nothing"
        super().__init__(f"{pod} {problem}{log}")
        self.pod = pod
        self.status = status


class NotInTime(ClusterError):
    pass


class VerdictFailed(ClusterError):
    pass
