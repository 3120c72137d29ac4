"""Looks as a picture, with matplotlib."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from pytest_fleetq.perf.monitor.model import Look

WIDTH, HEIGHT, DPI = 10.0, 2.4, 100  # inches of one chart
NEEDED = "a picture needs matplotlib: pip install 'pytest-fleetq[plot]'"


def figures() -> Any:
    """
    Raises:
        click.UsageError: matplotlib is not installed.
    """
    try:
        return import_module("matplotlib.figure")
    except ImportError:
        raise click.UsageError(NEEDED) from None


def draw(looks: Sequence[Look], path: Path) -> None:
    """CPU and memory by pod, the queue, and the rates, above each other over one time axis."""
    figure = figures().Figure(figsize=(WIDTH, 4 * HEIGHT), layout="constrained")
    cpu, memory, backlog, rates = figure.subplots(4, sharex=True)
    times = [look.elapsed for look in looks]
    cpu.plot(times, [look.system.cpu_percent for look in looks], label="system", color="black")
    for name in sorted({pod.pod for look in looks for pod in look.pods}):
        seen = [(look.elapsed, pod) for look in looks for pod in look.pods if pod.pod == name]
        cpu.plot([at for at, _ in seen], [pod.cpu_percent for _, pod in seen], label=name)
        memory.plot([at for at, _ in seen], [pod.rss_mb for _, pod in seen], label=name)
    counted = [(look.elapsed, look.queues) for look in looks if look.queues is not None]
    for plot, names in (
        (backlog, ("pending", "claimed", "failed")),
        (rates, ("submitted_per_second", "completed_per_second")),
    ):
        for name in names:
            values = [getattr(queues, name) for _, queues in counted]
            plot.plot([at for at, _ in counted], values, label=name.replace("_per_second", "/s"))
    titles = ("CPU, %", "memory of pods, MB", "steps", "steps per second")
    for plot, title in zip((cpu, memory, backlog, rates), titles, strict=True):
        plot.set_title(title, fontsize=9, loc="left")
        plot.set_ylim(bottom=0)
        if plot.get_legend_handles_labels()[0]:
            plot.legend(fontsize=7, loc="upper right")
    rates.set_xlabel("seconds")
    figure.savefig(path, format="png", dpi=DPI)
