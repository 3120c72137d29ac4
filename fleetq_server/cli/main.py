"""`fleetq`: the command line."""

import difflib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from fleetq_server.cli.failure import EXIT_CODES, INTERRUPTED, Failure
from fleetq_server.cli.lazy import BUILT_IN, contributed, load_command, summary
from fleetq_server.cli.options import fleet_options
from fleetq_server.errors import FleetError


class LazyGroup(click.Group):
    """Commands are imported when they are used; errors become a line and an exit code."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*BUILT_IN, *sorted(contributed())]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, text) in BUILT_IN.items()]
        rows += [(name, summary(point)) for name, point in sorted(contributed().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("\n" + EXIT_CODES.removeprefix("\b\n"))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        del standalone_mode  # the exit codes are our own
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(self._run(words, prog_name or "fleetq", complete_var, extra))

    def _run(
        self, words: list[str], name: str, complete_var: str | None, extra: dict[str, Any]
    ) -> int:
        try:
            code = super().main(words, name, complete_var, standalone_mode=False, **extra)
            return code if isinstance(code, int) else 0
        except click.exceptions.Abort:
            return INTERRUPTED
        except (FleetError, click.ClickException, OSError) as error:
            failure = Failure.of(error)
            # Looked up here, because the arguments may be what is wrong.
            as_json = "--json" in words
            text = json.dumps(failure.document) if as_json else f"fleetq: {failure.line}"
            click.echo(text, err=True)
            return failure.exit_code


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-fleetq", prog_name="fleetq")
@fleet_options
def main() -> None:
    """A work queue of equal pods over one store.

    Commands that need a fleet take a pod from --address, or find one by --store; without
    either they look at the store of the settings in force (see fleetq config).
    """


def run() -> None:
    """The program `fleetq`."""
    # What gRPC writes to stderr by itself is no log line of ours, and says nothing we do not.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        main()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            # All is cleaned up by now. Interpreter shutdown is left out: threads of gRPC that were
            # interrupted anywhere have been seen to crash in it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


if __name__ == "__main__":
    run()
