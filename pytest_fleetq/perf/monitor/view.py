"""Looks on a terminal: a table that renews itself, or a line each where that cannot be."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pytest_fleetq.perf.monitor.model import Look

LAST_EVENTS = 8


def line(look: Look) -> str:
    system, queues = look.system, look.queues
    parts = [
        f"{look.elapsed:7.1f} s",
        f"system {system.cpu_percent:.0f} % cpu, {system.memory_percent:.0f} % memory",
        *(f"{pod.pod} {pod.cpu_percent:.0f} % {pod.rss_mb:.0f} MB" for pod in look.pods),
    ]
    if queues is not None:
        parts.append(
            f"{queues.pending} pending, {queues.claimed} claimed, {queues.failed} failed, "
            f"{queues.completed_per_second:.1f}/s"
        )
    return " | ".join(parts)


def table(look: Look, standing: list[str], told: list[str], *, verbose: bool) -> RenderableType:
    parts: list[RenderableType] = [_head(look)]
    if look.pods:
        parts.append(_pods(look, verbose=verbose))
    if look.elsewhere:
        parts.append(Text(f"on other hosts: {', '.join(look.elsewhere)}", "dim"))
    if look.queues is not None:
        parts.append(_queues(look, verbose=verbose))
    parts += [Text(f"! {what}", "bold red") for what in standing]
    parts += [Text(text, "dim") for text in told[-LAST_EVENTS:]]
    return Group(*parts)


def _head(look: Look) -> Text:
    system = look.system
    return Text(
        f"{look.elapsed:.0f} s   cpu {system.cpu_percent:.0f} %   memory "
        f"{system.memory_percent:.0f} %   disk {system.disk_percent:.0f} %",
        "bold",
    )


def _pods(look: Look, *, verbose: bool) -> Table:
    more = ("threads", "fds", "process") if verbose else ()
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("pod", "cpu %", "MB", "running", *more):
        rows.add_column(heading, justify="left" if heading == "pod" else "right")
    for pod in look.pods:
        details = (pod.threads, "" if pod.fds is None else pod.fds, pod.pid) if verbose else ()
        rows.add_row(
            Text(f"{pod.pod}{' (leader)' if pod.leader else ''}"),
            f"{pod.cpu_percent:.1f}",
            f"{pod.rss_mb:.1f}",
            str(pod.running),
            *map(str, details),
        )
    return rows


def _queues(look: Look, *, verbose: bool) -> Table:
    queues = look.queues
    assert queues is not None
    cells = {
        "pending": f"{queues.pending}",
        "claimed": f"{queues.claimed}",
        "completed": f"{queues.completed}",
        "failed": f"{queues.failed}",
        "submitted/s": f"{queues.submitted_per_second:.1f}",
        "completed/s": f"{queues.completed_per_second:.1f}",
    }
    if verbose:
        share = queues.failure_percent
        cells |= {
            "scheduled": f"{queues.scheduled}",
            "failing %": "" if share is None else f"{share:.1f}",
        }
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in cells:
        rows.add_column(heading, justify="right")
    rows.add_row(*cells.values())
    return rows


def can_renew(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
