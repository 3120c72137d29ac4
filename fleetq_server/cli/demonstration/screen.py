"""What is shown while it runs, on standard error: a bar on a terminal, a few lines elsewhere."""

import types
from collections.abc import Callable
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

QUARTERS = 4


class Screen(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None: ...

    def say(self, text: str) -> None:
        """Something happened."""

    def begin(self, what: str, total: int, unit: str) -> Callable[[int], None]:
        """Begins a piece of work; the function returned hears how much of it is done."""


def screen_for(console: Console) -> Screen:
    return Bars(console) if console.is_terminal else Lines(console)


class Lines:
    """For logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        pass

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def begin(self, what: str, total: int, unit: str) -> Callable[[int], None]:
        told = 0

        def done(number: int) -> None:
            nonlocal told
            quarter = number * QUARTERS // total
            if quarter > told:
                told = quarter
                self.say(f"{what}: {number:,} of {total:,} {unit}")

        return done


class Bars:
    """For people."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self._progress.console.print(Text(text))

    def begin(self, what: str, total: int, unit: str) -> Callable[[int], None]:
        task = self._progress.add_task(what, total=total, unit=unit)

        def done(number: int) -> None:
            self._progress.update(task, completed=number)

        return done


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        told = "" if speed is None or unit == "pods" else f"{speed:,.0f} {unit}/s"
        return Text(told, justify="right")
