"""Findings in words, for terminals, pull requests and logs."""

import re
from collections.abc import Iterable, Sequence

from pytest_fleetq.perf.gate.judging import Finding, Verdict
from pytest_fleetq.perf.gate.outcome import Outcome
from pytest_fleetq.perf.metrics import Better

HEADINGS = ("benchmark", "metric", "base", "head", "change", "95 %", "±", "p", "verdict")
SHORT = 12
_RANKS = (Verdict.REGRESSION, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.SHOWN)


def rows(findings: Sequence[Finding]) -> Iterable[Sequence[str]]:
    """The worst first. `±` is half the interval: what is smaller cannot be seen."""
    for finding in sorted(findings, key=lambda f: _RANKS.index(f.verdict)):
        yield (
            finding.key.benchmark,
            finding.key.metric,
            number(finding.base),
            number(finding.head),
            change(finding.ratio),
            _interval(finding),
            _noise_floor(finding),
            "" if finding.p is None else f"{finding.p:.4f}",
            f"{finding.verdict} ({finding.note})" if finding.note else finding.verdict,
        )


def headline(outcome: Outcome) -> str:
    sides = [f"{name} {_short(what)}" for name, what in outcome.sides.items()]
    return f"{outcome.verdict}: {outcome.reason or ' against '.join(reversed(sides))}"


def _short(side: str) -> str:
    """A commit's first digits; files keep their names."""
    return side[:SHORT] if re.fullmatch("[0-9a-f]{40,64}", side) else side


def sentence(finding: Finding) -> str:
    """`cycle throughput_per_sec: 1.48 → 1.23 (-16.9 %), higher is better; p 0.0004, …`."""
    parts = [f"{finding.key.benchmark} {finding.key.metric}: "]
    parts.append(f"{number(finding.base)} → {number(finding.head)}")
    if finding.ratio is not None:
        parts.append(f" ({change(finding.ratio)})")
    if finding.judging and finding.judging.better is Better.HIGHER:
        parts.append(", higher is better")
    if finding.p is not None:
        parts.append(f"; p {finding.p:.4f}, 95 % interval {_interval(finding)}")
    if finding.note:
        parts.append(f"; {finding.note}")
    return "".join(parts)


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def change(ratio: float | None) -> str:
    return "" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def _interval(finding: Finding) -> str:
    if finding.interval is None:
        return ""
    low, high = finding.interval
    return f"{100 * (low - 1):+.1f} … {100 * (high - 1):+.1f} %"


def _noise_floor(finding: Finding) -> str:
    if finding.interval is None:
        return ""
    low, high = finding.interval
    return f"{50 * (high - low):.1f} %"
