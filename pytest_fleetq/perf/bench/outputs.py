"""Reports for programs: JSON in the format of `results.py`, CSV, a picture, stored results."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from pytest_fleetq.perf import baselines, here
from pytest_fleetq.perf.gate.words import number
from pytest_fleetq.perf.results import Benchmark, Configuration, Results

if TYPE_CHECKING:
    from fleetq_server.bench.report import Line, Report

LONG_NAMES = {
    "claiming": "step_claiming",
    "recovery": "recovery_performance",
    "resource": "resource_usage",
    "concurrent": "concurrent_processing",
}
DISTRIBUTIONS = ("pytest-fleetq", "apsw", "grpcio", "protobuf")
COLUMNS = ("benchmark", "metric", "what", "unit", "value", "raw", "ratio", "target", "reached")
WIDTH, ROW_HEIGHT, DPI = 10.0, 0.28, 100  # inches of the picture, and of a line in it


@dataclass(frozen=True)
class Outputs:
    """Where results go besides the terminal.

    Raises:
        click.UsageError: a file could not be written, or a picture not be drawn because matplotlib
            is not installed; told before anything is measured.
    """

    output: Path | None
    csv: Path | None
    plot: Path | None
    save: Path | None

    def __post_init__(self) -> None:
        for path in filter(None, (self.output, self.csv, self.plot)):
            if not path.parent.is_dir():
                raise click.UsageError(f"{path}: there is no folder {path.parent}")
        if self.plot:
            figures()

    def write(self, reports: Sequence["Report"], results: Results) -> None:
        if self.output:
            self.output.write_text(json_of(reports, results) + "\n", encoding="utf-8")
        if self.csv:
            write_csv(reports, self.csv)
        if self.plot:
            draw(reports, self.plot)
        if self.save:
            for path in baselines.append(self.save, results):
                click.echo(f"added to {path}", err=True)


def json_of(reports: Sequence["Report"], results: Results) -> str:
    """That of `results.py`, with all lines and conditions of each report besides."""
    document = results.to_document()
    for benchmark, report in zip(document["benchmarks"], reports, strict=True):
        benchmark.update(report.document())
    return json.dumps(document, ensure_ascii=False, indent=2)


def results_of(reports: Sequence["Report"], seed: int) -> Results:
    """A benchmark succeeded if no step of it was lost; targets are another matter."""
    return Results(here.timestamp(), _configuration(reports, seed), list(map(_benchmark, reports)))


def _configuration(reports: Sequence["Report"], seed: int) -> Configuration:
    return here.configuration(
        DISTRIBUTIONS,
        {"sqlite": str(reports[0].conditions["sqlite"])},
        num_pods=max(_number(report.workload["pods"]) for report in reports),
        seed=seed,
        fsync_ms=median(_number(report.conditions["fsync_ms"]) for report in reports),
    )


def _number(value: object) -> Any:
    assert isinstance(value, int | float)
    return value


def _benchmark(report: "Report") -> Benchmark:
    return Benchmark(
        LONG_NAMES.get(report.bench, report.bench),
        {line.name: line.value for line in report.lines},
        success=not report.problems,
        raw={line.name: line.raw_value for line in report.lines if line.raw_value is not None},
        ratio={line.name: line.ratio for line in report.lines if line.ratio is not None},
        workload=report.workload,
    )


def write_csv(reports: Sequence["Report"], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for report in reports:
            for line in report.lines:
                rows.writerow({"benchmark": report.bench, **line.document()})


def figures() -> Any:
    """
    Raises:
        click.UsageError: matplotlib is not installed.
    """
    try:
        return import_module("matplotlib.figure")
    except ImportError:
        raise click.UsageError(
            "a picture needs matplotlib: pip install 'pytest-fleetq[plot]'"
        ) from None


def draw(reports: Sequence["Report"], path: Path) -> None:
    """A bar for each figure, by benchmark and unit, with the raw limit behind it."""
    charts = [
        (f"{report.bench}, {unit or 'ratio'}", [line for line in report.lines if line.unit == unit])
        for report in reports
        for unit in dict.fromkeys(line.unit for line in report.lines)
    ]
    heights = [len(lines) + 1.5 for _, lines in charts]
    figure = figures().Figure(figsize=(WIDTH, sum(heights) * ROW_HEIGHT), layout="constrained")
    axes = figure.subplots(len(charts), squeeze=False, height_ratios=heights)
    for (title, lines), (plot,) in zip(charts, axes, strict=True):
        _draw_one(plot, title, lines)
    figure.savefig(path, format="png", dpi=DPI)


def _draw_one(plot: Any, title: str, lines: Sequence["Line"]) -> None:
    places = range(len(lines))
    plot.barh(places, [line.raw_value or 0 for line in lines], color="0.85")
    bars = plot.barh(places, [line.value for line in lines], color="tab:blue", height=0.5)
    plot.bar_label(bars, [f" {number(line.value)}" for line in lines], fontsize=7)
    plot.set_yticks(places, [line.what for line in lines], fontsize=7)
    plot.tick_params(axis="x", labelsize=7)
    plot.invert_yaxis()
    plot.margins(x=0.12)
    plot.set_title(title, fontsize=9, loc="left")
