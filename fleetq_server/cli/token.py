"""`fleetq token`: makes what callers show, and the line by which pods know it."""

import os
from pathlib import Path

import click

from fleetq_server.cli.output import print_json
from fleetq_server.rpc.security.tokens import Role, file_line, new_token


@click.group("token")
def token() -> None:
    """Make tokens for those who call pods."""


@token.command("new")
@click.option("--name", required=True, help="Whose it is; several tokens may have the same.")
@click.option(
    "--role",
    "roles",
    required=True,
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="What it is good for. May be given several times.",
)
@click.option(
    "--append",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Add the line to the pods' file, and print only the token.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(name: str, roles: tuple[Role, ...], append: Path | None, as_json: bool) -> None:
    """Print a new token, and the line for the file of the setting `tokens`.

    The file has only the token's hash, so this is the one time that the token is seen. Pods read
    the file again when it changes; to replace a token, add a line of the same name, hand out the
    new token, then delete the old line.
    """
    made = new_token()
    line = file_line(name, map(Role, roles), made)
    if append is not None:
        _append(append, line)
    if as_json:
        print_json({"token": made, "line": line})
    elif append is not None:
        click.echo(made)
    else:
        click.echo(f"token, shown only now:  {made}\nline for the pods' file: {line}")


def _append(file: Path, line: str) -> None:
    """At once, so that no pod sees half a line."""
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        ends_open = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, ("\n" * ends_open + f"{line}\n").encode())
    finally:
        os.close(handle)
