"""The checkers that judge a history unless told otherwise, and how to choose among them."""

from collections.abc import Iterable, Sequence

from pytest_fleetq.verdict.checkers.at_most_one_live_claim import AtMostOneLiveClaim
from pytest_fleetq.verdict.checkers.attempt_limits import AttemptLimits
from pytest_fleetq.verdict.checkers.conservation import Conservation
from pytest_fleetq.verdict.checkers.dlq_truth import DlqTruth
from pytest_fleetq.verdict.checkers.immutable_results import ImmutableResults
from pytest_fleetq.verdict.checkers.log_patterns import LogPatterns
from pytest_fleetq.verdict.checkers.no_superseded_write import NoSupersededWrite
from pytest_fleetq.verdict.checkers.nothing_stuck import NothingStuck
from pytest_fleetq.verdict.checkers.one_leader_per_term import OneLeaderPerTerm
from pytest_fleetq.verdict.checkers.retry_delays import RetryDelays
from pytest_fleetq.verdict.checkers.vacuity import Vacuity
from pytest_fleetq.verdict.model import Checker

__all__ = ["DEFAULT_CHECKERS", "choose"]

DEFAULT_CHECKERS: tuple[Checker, ...] = (
    Conservation(),
    AtMostOneLiveClaim(),
    NoSupersededWrite(),
    OneLeaderPerTerm(),
    AttemptLimits(),
    RetryDelays(),
    DlqTruth(),
    ImmutableResults(),
    NothingStuck(),
    LogPatterns(),
    Vacuity(),
)


def choose(
    names: Iterable[str] | None = None,
    *,
    silence: Iterable[str] = (),
    extra: Sequence[Checker] = (),
) -> tuple[Checker, ...]:
    """The checkers of these names (None: all), without the silenced ones.

    `extra` checkers are chosen and silenced like the default ones; one with a default checker's
    name replaces it. Raises ValueError for a name that nobody has.
    """
    known = {checker.name: checker for checker in (*DEFAULT_CHECKERS, *extra)}
    silenced = frozenset(silence)
    wanted = list(known) if names is None else list(dict.fromkeys(names))
    strange = [name for name in (*wanted, *sorted(silenced)) if name not in known]
    if strange:
        raise ValueError(f"no checker {strange[0]!r}; there are {', '.join(sorted(known))}")
    return tuple(known[name] for name in wanted if name not in silenced)
