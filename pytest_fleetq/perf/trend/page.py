"""Trends as one HTML file that needs nothing else: no network, no scripts."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from statistics import median

from pytest_fleetq.perf.changes import Change
from pytest_fleetq.perf.gate.words import number
from pytest_fleetq.perf.trend.series import Point, Series
from pytest_fleetq.perf.trend.words import describe, where

WIDTH, HEIGHT, MARGIN = 720, 120, 6

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --back: #fff; --soft: #6e7781; --line: #0969da;
  --bad: #cf222e; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --back: #0d1117; --soft: #8d96a0;
  --line: #4493f8; --bad: #f85149; --good: #3fb950; } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 0; border-bottom: 1px solid var(--soft); }
h3 { font-size: 1rem; margin: 1.5rem 0 .2rem; }
p { margin: .2rem 0; color: var(--soft); } .bad { color: var(--bad); } .good { color: var(--good); }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 10px; }
.run { fill: var(--line); } .course { fill: none; stroke: var(--line); stroke-width: 1; }
.level { stroke: var(--ink); stroke-width: 1.5; }
.cut { stroke-dasharray: 4 3; } .cut.bad { stroke: var(--bad); } .cut.good { stroke: var(--good); }
"""


def render(all_series: Sequence[Series], title: str) -> str:
    names = list(dict.fromkeys(series.benchmark for series in all_series))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for name in names:
        parts.append(f"<h2>{escape(name)}</h2>")
        parts += [_section(series) for series in all_series if series.benchmark == name]
    return "\n".join([*parts, "</body></html>\n"])


def _section(series: Series) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in series.fingerprint.items())
    runs = f"{len(series.points)} runs" + (f" of {series.work}" if series.work else "")
    levels = f"level {number(series.level)}, last {number(series.values[-1])}"
    parts = [
        f"<h3>{escape(series.metric)}</h3>",
        f"<p>{escape(f'{levels}; {runs} on {machine or series.machine}')}</p>",
        *(_told(series, change) for change in series.changes),
        _chart(series),
    ]
    return "\n".join(parts)


def _told(series: Series, change: Change) -> str:
    return f'<p class="{_class(series, change)}">{escape(describe(series, change))}</p>'


def _class(series: Series, change: Change) -> str:
    return {True: "bad", False: "good", None: ""}[series.is_worse(change)]


class _Scale:
    """From positions and values to the picture's coordinates."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)
        self._step = (WIDTH - 2 * MARGIN) / max(1, len(values) - 1)
        self._span = (self.high - self.low) or 1.0

    def x(self, position: float) -> float:
        return round(MARGIN + position * self._step, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - self.low) / self._span, 1)


def _chart(series: Series) -> str:
    values = series.values
    scale = _Scale(values)
    places = " ".join(f"{scale.x(i)},{scale.y(value)}" for i, value in enumerate(values))
    parts = [
        f'<svg viewBox="0 -12 {WIDTH} {HEIGHT + 26}" role="img">',
        f'<polyline class="course" points="{places}"/>',
        *_levels(series, scale),
        *(_cut(series, change, scale) for change in series.changes),
        *(_run(point, i, scale) for i, point in enumerate(series.points)),
        f'<text x="{MARGIN}" y="-2">{number(scale.high)}</text>',
        f'<text x="{MARGIN}" y="{HEIGHT + 11}">{number(scale.low)}</text></svg>',
    ]
    return "".join(parts)


def _levels(series: Series, scale: _Scale) -> list[str]:
    edges = [0, *(change.at for change in series.changes), len(series.points)]
    return [
        _line("level", scale.x(begin), scale.x(end - 1), *[scale.y(median(values))] * 2)
        for begin, end in pairwise(edges)
        for values in [series.values[begin:end]]
    ]


def _cut(series: Series, change: Change, scale: _Scale) -> str:
    x = scale.x(change.at - 0.5)
    return _line(f"cut {_class(series, change)}", x, x, 0, HEIGHT)


def _line(name: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'


def _run(point: Point, position: int, scale: _Scale) -> str:
    told = escape(f"{number(point.value)} {where(point.commit, point.timestamp)}")
    x, y = scale.x(position), scale.y(point.value)
    return f'<circle class="run" cx="{x}" cy="{y}" r="2.5"><title>{told}</title></circle>'
