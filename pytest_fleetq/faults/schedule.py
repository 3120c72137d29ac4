"""A seeded nemesis: which faults happen when, planned before anything runs.

Planning is pure, so a schedule can be looked at, stored, replayed and shrunk. Every fault draws
from a random stream of its own, so that leaving one out changes nothing about the others.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Self, TypeAlias

SHORTEST_SECONDS = 0.05
FORMAT = 1

TargetSpec: TypeAlias = str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """How often one fault is injected, where, and for how long."""

    fault: str
    target: TargetSpec = ""  # empty: the fault's usual one
    rate: float | None = None  # injections a second to expect; None: the schedule's
    lasts: tuple[float, float] = (0.2, 1.5)  # seconds, drawn evenly between these
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shortest, longest = self.lasts
        if not 0 <= shortest <= longest < math.inf:
            raise ValueError(
                f"lasts={self.lasts} must be two numbers of seconds, the smaller first"
            )
        if self.rate is not None:
            _check_positive("rate", self.rate)


@dataclass(frozen=True, slots=True)
class Planned:
    """One injection to come."""

    at: float  # seconds after the start
    lasts: float
    fault: str
    target: TargetSpec
    settings: Mapping[str, object]
    seed: str  # of the choice among pods

    @property
    def ends(self) -> float:
        return self.at + self.lasts


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happens within `duration` seconds. `plan` makes one from a seed."""

    injections: tuple[Planned, ...]
    duration: float
    seed: int

    @classmethod
    def plan(
        cls,
        faults: Sequence[str | Draw],
        *,
        duration: float,
        rate: float,
        seed: int,
        usual: Mapping[str, str] | None = None,
    ) -> Self:
        """
        Args:
            faults: Names, or `Draw`s for more than a name.
            duration: Seconds; what is injected ends within them.
            rate: Injections a second to expect *of each fault*, so that leaving one out changes
                nothing about the others.
            seed: Of all chance in it.
            usual: Each fault's usual target, for those that are given none.
        """
        _check_positive("duration", duration)
        _check_positive("rate", rate)
        usual = usual or {}
        seen: Counter[str] = Counter()
        planned: list[Planned] = []
        for one in faults:
            draw = Draw(one) if isinstance(one, str) else one
            stream = f"{seed}/{draw.fault}/{seen[draw.fault]}"
            seen[draw.fault] += 1
            target = draw.target or usual.get(draw.fault, "random:1")
            planned += _draw(replace(draw, target=target), duration, rate, stream)
        return cls(tuple(sorted(planned, key=lambda one: one.at)), duration, seed)

    def to_json(self) -> str:
        whole = {
            "format": FORMAT,
            "seed": self.seed,
            "duration": self.duration,
            "injections": [_as_dict(one) for one in self.injections],
        }
        return json.dumps(whole, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises: ValueError if it is no schedule."""
        try:
            whole: dict[str, Any] = json.loads(text)
            if whole["format"] != FORMAT:
                raise ValueError(
                    f"schedule of format {whole['format']}, this version knows {FORMAT}"
                )
            injections = tuple(_from_dict(one) for one in whole["injections"])
            return cls(injections, whole["duration"], whole["seed"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no schedule: {error!r}") from error

    def __str__(self) -> str:
        lines = [
            f"{one.at:7.2f} s  {one.fault} on {_words(one.target)} for {one.lasts:.2f} s"
            + "".join(f"  {name}={value}" for name, value in one.settings.items())
            for one in self.injections
        ]
        return "\n".join(lines) or "nothing is injected"


def _draw(draw: Draw, duration: float, rate: float, stream: str) -> Iterator[Planned]:
    """One fault's injections, which do not overlap each other."""
    rng = Random(stream)
    rate = rate if draw.rate is None else draw.rate
    at, number = rng.expovariate(rate), 0
    while at + SHORTEST_SECONDS <= duration:
        lasts = min(max(SHORTEST_SECONDS, rng.uniform(*draw.lasts)), duration - at)
        yield Planned(
            round(at, 3), round(lasts, 3), draw.fault, draw.target, draw.settings,
            f"{stream}/{number}",
        )  # fmt: skip
        at, number = at + lasts + rng.expovariate(rate), number + 1


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} must be a number above 0")


def _as_dict(one: Planned) -> dict[str, object]:
    return {
        "at": one.at, "lasts": one.lasts, "fault": one.fault, "target": one.target,
        "settings": dict(one.settings), "seed": one.seed,
    }  # fmt: skip


def _from_dict(one: Mapping[str, Any]) -> Planned:
    target = one["target"]
    return Planned(
        one["at"], one["lasts"], one["fault"],
        tuple(target) if isinstance(target, list) else target, one["settings"], one["seed"],
    )  # fmt: skip


def _words(target: TargetSpec) -> str:
    return ", ".join(target) if isinstance(target, tuple) else str(target)
