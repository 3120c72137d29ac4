"""How a gate ended: what is told of it, in JSON and as an exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from pytest_fleetq.perf.errors import Incomparable, PerfError
from pytest_fleetq.perf.gate.judging import Finding, Verdict
from pytest_fleetq.perf.gate.machine import Noise

PASSED, REGRESSED, INCONCLUSIVE, INCOMPARABLE, NO_DATA = 0, 1, 3, 4, 5

EXIT_CODES = """\b
Exit codes:
  0    nothing got worse, as far as a gate can see
  1    something did
  2    wrong usage
  3    the machine is too noisy to tell
  4    the results cannot be compared
  5    there are no results
  130  interrupted
"""

_CODES = {
    Verdict.PASS: PASSED,
    Verdict.REGRESSION: REGRESSED,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    Attributes:
        verdict: PASS, REGRESSION, INCONCLUSIVE, INCOMPARABLE or NO DATA.
        reason: Of the last two.
        sides: What base and head are, by those names: a commit or a file.
    """

    verdict: str
    exit_code: int
    sides: Mapping[str, str]
    findings: Sequence[Finding] = ()
    reason: str = ""
    notes: Sequence[str] = ()
    about: Mapping[str, object] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            **self.sides,
            "reason": self.reason,
            "notes": list(self.notes),
            **self.about,
            "findings": [_document(finding) for finding in self.findings],
        }


def judged(
    verdict: Verdict,
    sides: Mapping[str, str],
    findings: Sequence[Finding],
    notes: Sequence[str],
    about: Mapping[str, object],
) -> Outcome:
    return Outcome(verdict, _CODES[verdict], sides, findings, "", notes, about)


def failed(error: PerfError, sides: Mapping[str, str]) -> Outcome:
    incomparable = isinstance(error, Incomparable)
    verdict = "INCOMPARABLE" if incomparable else "NO DATA"
    code = INCOMPARABLE if incomparable else NO_DATA
    return Outcome(verdict, code, sides, reason=str(error))


def describe_noise(noises: Sequence[Noise]) -> dict[str, float | None]:
    """Medians over the pairs."""
    if not noises:
        return {}
    pressures = [noise.pressure for noise in noises if noise.pressure is not None]
    return {
        "foreign_cores": median(noise.foreign_cores for noise in noises),
        "stolen_cores": median(noise.stolen_cores for noise in noises),
        "pressure": median(pressures) if pressures else None,
    }


def _document(finding: Finding) -> dict[str, Any]:
    fields = asdict(finding)
    key = fields.pop("key")
    return {"benchmark": key.benchmark, "metric": key.metric, **fields}
