"""How much to measure, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sizes:
    """What each benchmark sets for itself and a person may change."""

    steps: int = 50_000
    pods: int = 1
    duration: float = 5.0  # seconds
    rounds: int = 3


class Say(Protocol):
    """Hears what is being done, and how much of all of it is over: from 0 to 1 if that is known."""

    def __call__(self, text: str, share: float | None = None, /) -> None: ...


def in_silence(_text: str, _share: float | None = None, /) -> None:
    """A Say for whoever does not want to know."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of one benchmark."""

    sizes: Sizes
    directory: Path
    seed: int = 1
    store: str = ""  # a postgresql:// database; otherwise SQLite files in the directory
    say: Say = in_silence

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
