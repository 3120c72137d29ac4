"""Trends as a picture, with matplotlib."""

from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import click

from pytest_fleetq.perf.trend.series import Series

WIDTH, HEIGHT = 10.0, 2.2  # inches, of one series
DPI = 100
NEEDED = "a picture needs matplotlib: pip install 'pytest-fleetq[plot]'"


def draw(all_series: Sequence[Series], path: Path) -> None:
    """
    Raises:
        click.ClickException: matplotlib is not installed.
    """
    try:
        figures = import_module("matplotlib.figure")
    except ImportError:
        raise click.ClickException(NEEDED) from None
    # Without pyplot: no window system is looked for, and no state is left behind.
    figure = figures.Figure(figsize=(WIDTH, HEIGHT * len(all_series)), layout="constrained")
    axes = figure.subplots(len(all_series), squeeze=False)
    for series, (plot,) in zip(all_series, axes, strict=True):
        _draw_one(series, plot)
    figure.savefig(path, format="png", dpi=DPI)


def _draw_one(series: Series, plot: Any) -> None:
    values = series.values
    plot.plot(range(len(values)), values, marker=".", linewidth=0.7, color="tab:blue")
    edges = [0, *(change.at for change in series.changes), len(values)]
    for begin, end in pairwise(edges):
        plot.hlines(median(values[begin:end]), begin, end - 1, color="black", linewidth=1)
    for change in series.changes:
        worse = series.is_worse(change)
        plot.axvline(change.at - 0.5, color="tab:red" if worse else "tab:green", linestyle="--")
    plot.set_title(f"{series.benchmark}: {series.metric}", fontsize=9, loc="left")
    plot.set_title(series.machine, fontsize=7, loc="right")
    marks = sorted({0, len(values) - 1})
    plot.set_xticks(marks, [series.points[mark].commit or "" for mark in marks], fontsize=7)
