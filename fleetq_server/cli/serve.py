"""`fleetq serve`: one pod in the foreground."""

import asyncio
import faulthandler
import gc
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fleetq_server.config import Settings, load_settings
from fleetq_server.pod import Pod
from fleetq_server.telemetry import get_logger

TWICE_SECONDS = 1.0


def _options(command: click.Command) -> click.Command:
    """Every setting is a flag."""
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        about = field.description or ""
        if isinstance(field.default, bool):
            option = click.Option([f"{flag}/--no-{flag[2:]}"], default=None, help=about)
        elif isinstance(field.default, tuple):
            option = click.Option(
                [flag], multiple=True, metavar="NAME", help=f"{about} May be given several times."
            )
        else:
            option = click.Option([flag], metavar=name.rsplit("_", 1)[-1].upper(), help=about)
        command.params.append(option)
    return command


@click.command("serve")
@click.option("--config", metavar="FILE", help="Settings file (default: fleetq.toml).")
def serve(**flags: Any) -> None:
    """Run one pod until SIGTERM or Ctrl-C, then drain it.

    Its first line on standard output is JSON and says that it is ready: pod_id, address, port, pid.
    Flags come before FLEET_Q_* variables, those before the file. A second signal ends the pod at
    once; what it held then runs elsewhere.
    """
    run(load_settings(flags))


def read_settings(args: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Settings:
    """Those of a pod started so. Raises: ConfigError, click.ClickException."""
    with serve.make_context("fleetq serve", list(args)) as context:
        return load_settings(context.params, environ=environ, cwd=cwd)


def run(settings: Settings) -> None:
    """One pod, until it is told to end. SIGUSR2 writes the stacks of its threads to its log."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    sys.path.insert(0, "")  # handlers beside the user, as with `python -m`
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    pod = Pod(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked, pod, number)
    for warning in settings.warnings:
        get_logger().warning(warning)
    ready = await pod.start()
    click.echo(json.dumps(ready))
    sys.stdout.flush()
    _tune_collector()
    await pod.run()


def _tune_collector() -> None:
    """A pod may hold 100,000 handlers that wait. Collecting garbage as often as Python does by
    default took more time than starting them; hardly anything here is in reference cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 100)


def _asked(pod: Pod, number: signal.Signals) -> None:
    """The next one ends the process; not at once, for some supervisors send a signal both to the
    process and to its group."""
    pod.stop()
    # Not by the loop: KeyboardInterrupt would wait for the handlers' threads.
    asyncio.get_running_loop().call_later(TWICE_SECONDS, signal.signal, number, signal.SIG_DFL)


_options(serve)
