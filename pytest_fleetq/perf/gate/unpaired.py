"""Stored results against stored results: no pairs, so only what is far beyond noise counts.

Between two runs at different times, machines like those of hosted CI differ by factors of 0.6 to
1.5 with the same code.
"""

from collections.abc import Iterator

from pytest_fleetq.perf.errors import Incomparable
from pytest_fleetq.perf.fingerprint import differences
from pytest_fleetq.perf.gate.judging import Finding, Verdict
from pytest_fleetq.perf.gate.samples import Pair, Series, sort_out
from pytest_fleetq.perf.results import Results

LIMIT = 1.5
NOTE = f"unpaired: metrics fail beyond {LIMIT:g} times only, counts at once"


def compare(base: Results, head: Results) -> list[Finding]:
    """
    Raises:
        Incomparable: other machines, other work, or nothing that both measured.
        NoData: a benchmark did not succeed.
    """
    _check_machine(base, head)
    series = sort_out([Pair(base, head)])
    if not any(one.primary and one.complete for one in series):
        raise Incomparable("base and head have no metric in common that gates; see `judging`")
    return list(_findings(series))


def _check_machine(base: Results, head: Results) -> None:
    one, other = base.configuration.fingerprint, head.configuration.fingerprint
    for side, fingerprint in (("base", one), ("head", other)):
        if not fingerprint:
            raise Incomparable(
                f"{side} has no configuration.fingerprint, so nobody knows which machine it is of; "
                "fleetq gate --base measures both on one"
            )
    if different := differences(one, other):
        raise Incomparable(f"head is of another machine: {'; '.join(different)}")


def _findings(series: list[Series]) -> Iterator[Finding]:
    for one in series:
        base, head = one.values[0]
        verdict, note = _judged(one, base, head)
        ratio = head / base if base and head is not None else None
        yield Finding(one.key, verdict, 1, one.is_count, one.judging, base, head, ratio, note=note)


def _judged(series: Series, base: float | None, head: float | None) -> tuple[Verdict, str]:
    if series.judging is None or not series.judging.primary or base is None:
        return Verdict.SHOWN, "new" if base is None else ""
    if head is None:
        return Verdict.INCONCLUSIVE, "gone"
    if series.is_count:
        return (Verdict.REGRESSION if head > base else Verdict.PASS), "exact"
    if min(base, head) <= 0:
        return Verdict.INCONCLUSIVE, "0 or less"
    worse = series.judging.worse(base, head)
    return (Verdict.REGRESSION if worse > LIMIT else Verdict.PASS), "unpaired"
