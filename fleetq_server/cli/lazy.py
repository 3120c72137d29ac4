"""Modules loaded on use, so that `fleetq --help` stays quick and imports no gRPC."""

import ast
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

import click

GROUP = "fleetq.commands"

# name: (module, what --help says of it)
BUILT_IN = {
    "serve": ("fleetq_server.cli.serve", "Run one pod."),
    "demo": ("fleetq_server.cli.demo", "See a fleet survive the loss of its leader."),
    "submit": ("fleetq_server.cli.submit", "Submit steps, from JSON Lines or flags."),
    "steps": ("fleetq_server.cli.steps", "Show one step, or list steps."),
    "wait": ("fleetq_server.cli.wait", "Wait for steps to end, and show their results."),
    "cancel": ("fleetq_server.cli.cancel", "Cancel steps."),
    "pods": ("fleetq_server.cli.pods", "List pods and workers."),
    "leader": ("fleetq_server.cli.pods", "Show who leads, and since when."),
    "drain": ("fleetq_server.cli.pods", "Ask a pod or worker to finish and end."),
    "dlq": ("fleetq_server.cli.dlq", "List, redrive and purge steps that failed for good."),
    "stats": ("fleetq_server.cli.queues", "Show the fleet's counters."),
    "queues": ("fleetq_server.cli.queues", "List, pause and resume queues."),
    "events": ("fleetq_server.cli.events", "Show what happens in the fleet."),
    "config": ("fleetq_server.cli.config", "Show the settings in force, and where each came from."),
    "token": ("fleetq_server.cli.token", "Make tokens for those who call pods."),
    "migrate": ("fleetq_server.cli.migrate", "Bring a store's schema up to date."),
    "doctor": ("fleetq_server.cli.doctor", "Examine a store for trouble."),
}


def contributed() -> dict[str, EntryPoint]:
    """Commands of other distributions; they cannot replace a built-in one."""
    found = entry_points(group=GROUP)
    return {point.name: point for point in found if point.name not in BUILT_IN}


def summary(point: EntryPoint) -> str:
    """What a contributed command is for: the first paragraph of its docstring. Read from the
    source, for importing all of them takes seconds."""
    try:
        spec = find_spec(point.module)
        source = Path(spec.origin or "").read_text() if spec else ""
        found = [
            ast.get_docstring(node)
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef) and node.name == point.attr
        ]
    except (ImportError, OSError, SyntaxError, ValueError):
        found = []
    paragraph = (found[0] or "").partition("\n\n")[0] if found else ""
    return " ".join(paragraph.split()) or (f"From {point.dist.name}." if point.dist else "")


def load_command(name: str) -> click.Command | None:
    """The command of this name, its module imported; None if there is none."""
    if name in BUILT_IN:
        module = import_module(BUILT_IN[name][0])
        commands = (value for value in vars(module).values() if isinstance(value, click.Command))
        return next(command for command in commands if command.name == name)
    point = contributed().get(name)
    return _load(point) if point else None


def _load(point: EntryPoint) -> click.Command:
    command = point.load()
    if not isinstance(command, click.Command):
        raise click.ClickException(f"{point.value}, which should be a command, is none")
    return command
