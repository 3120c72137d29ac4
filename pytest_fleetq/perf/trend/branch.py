"""The commits of a branch, oldest first."""

import subprocess
from pathlib import Path

import click


def commits_of(branch: str, repository: Path) -> list[str]:
    """Those it pointed to over time: of merges the first parent."""
    command = ["git", "-C", str(repository), "rev-list", "--first-parent", "--reverse", branch]
    try:
        found = subprocess.run([*command, "--"], capture_output=True, text=True)
    except FileNotFoundError:
        raise click.ClickException("git is not installed, or not on PATH") from None
    if found.returncode:
        why = found.stderr.strip()
        raise click.BadParameter(f"{branch!r} in {repository}: {why}", param_hint="--branch")
    return found.stdout.split()
