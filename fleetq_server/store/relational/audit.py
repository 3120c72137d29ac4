"""The scan that confirms the counters."""

from collections.abc import Callable
from typing import Any

from fleetq_server.model import Audit, Counts
from fleetq_server.store.relational.tx import Row

Run = Callable[..., list[Row]]
NAMES = ("scheduled", "pending", "claimed", "completed", "failed", "cancelled")


def audit(run: Run) -> Audit:
    scanned: dict[int, dict[str, int]] = {}
    for lane, state, count in run("scan_lanes"):
        scanned.setdefault(lane, {})[NAMES[state]] = count
    problems: list[str] = []
    total: dict[str, int] = dict.fromkeys((*NAMES, "submitted", "pruned"), 0)
    for lane, queue, kind, submitted, *states, pruned in run("lane_counters"):
        counted = dict(zip(NAMES, states, strict=True))
        problems.extend(_compare(f"{queue}/{kind}", counted, scanned.get(lane, {})))
        if submitted != sum(states) + pruned:
            problems.append(
                f"{queue}/{kind}: {submitted} submitted, {sum(states) + pruned} accounted for"
            )
        for name, count in (*counted.items(), ("submitted", submitted), ("pruned", pruned)):
            total[name] += count
    problems.extend(_strays(run))
    found = {name: sum(lane.get(name, 0) for lane in scanned.values()) for name in NAMES}
    known = sum(found.values()) + total["pruned"]
    return Audit(
        Counts(**total), Counts(**found, submitted=known, pruned=total["pruned"]), tuple(problems)
    )


def _compare(lane: str, counted: dict[str, int], scanned: dict[str, int]) -> list[str]:
    return [
        f"{lane}: counter {name} says {count}, a scan finds {scanned.get(name, 0)}"
        for name, count in counted.items()
        if count != scanned.get(name, 0)
    ]


def _strays(run: Run) -> list[str]:
    checks: dict[str, str] = {
        "orphaned_claims": "step {} is CLAIMED by a holder that is gone",
        "bodiless": "step {} has no payload row",
        "stray_bodies": "payload row {} has no step",
        "failed_without_cause": "step {} is FAILED but not in the DLQ",
        "dead_not_failed": "step {} is in the DLQ but not FAILED",
    }
    found: list[Any] = [(text, row[0]) for name, text in checks.items() for row in run(name)]
    return [text.format(step_id) for text, step_id in found]
