"""One trial: a worker of its own, some harm, and what came to light of some rules."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fleetq_server.errors import FleetError
from pytest_fleetq.conformance.rules import Finding, Trouble
from pytest_fleetq.conformance.stage import Stage


@dataclass
class Judge:
    """Collects findings; the first word on a rule counts."""

    found: dict[str, str] = field(default_factory=dict)

    def kept(self, *rules: str) -> None:
        for rule in rules:
            self.found.setdefault(rule, "")

    def broken(self, rule: str, how: str) -> None:
        self.found.setdefault(rule, how)

    def expect(self, rule: str, good: bool, otherwise: str) -> None:
        self.found.setdefault(rule, "" if good else otherwise)


@dataclass(frozen=True, slots=True)
class Trial:
    rules: tuple[str, ...]
    play: Callable[[Stage, Judge], Awaitable[None]]

    async def run(self, stage: Stage) -> list[Finding]:
        """What it found of each of its rules."""
        judge = Judge()
        try:
            async with stage:
                await self.play(stage, judge)
        except Trouble as trouble:
            for rule in self.rules:
                judge.broken(rule, str(trouble))
        except FleetError as error:
            for rule in self.rules:
                judge.broken(rule, f"could not be tried: {error}")
        return [Finding(rule, judge.found[rule]) for rule in self.rules]
