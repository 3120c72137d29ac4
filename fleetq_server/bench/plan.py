"""How much to measure, and where."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sizes:
    """What each benchmark sets for itself and a person may change."""

    steps: int = 50_000
    pods: int = 1
    duration: float = 5.0  # seconds
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of one benchmark."""

    sizes: Sizes
    directory: Path
    seed: int = 1
    store: str = ""  # a postgresql:// database; otherwise SQLite files in the directory
    say: Callable[[str], None] = lambda _: None

    @property
    def steps(self) -> int:
        return self.sizes.steps

    @property
    def pods(self) -> int:
        return self.sizes.pods

    @property
    def duration(self) -> float:
        return self.sizes.duration

    @property
    def rounds(self) -> int:
        return self.sizes.rounds
