"""What a test that hangs has to say, shortly before pytest-timeout ends it, or the whole process:
its method `thread` leaves no time for a report."""

import sys
import threading
import time
from collections.abc import Callable, Sequence

SHARE = 0.2  # of the time that is left
LONGEST_SECONDS = 2.0


class LastWords:
    """Writes sections to standard error, unless cancelled in time.

    Args:
        deadline: When the test will be ended, on the monotonic clock.
        sections: Title and text of what to write.
    """

    def __init__(self, deadline: float, sections: Callable[[], Sequence[tuple[str, str]]]) -> None:
        self._sections = sections
        left = max(0.0, deadline - time.monotonic())
        self._timer = threading.Timer(left - min(LONGEST_SECONDS, left * SHARE), self._write)
        self._timer.name = "fleetq-last-words"
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()

    def _write(self) -> None:
        for title, text in self._sections():
            sys.stderr.write(f"---- {title} ----\n{text}\n")
