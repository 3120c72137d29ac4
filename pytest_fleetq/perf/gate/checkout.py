"""Commits of a git repository, each in a working tree of its own beside the user's."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


def find_commit(repository: Path, ref: str, option: str) -> str:
    """
    Raises:
        click.BadParameter: it names no commit; `option` is where it was named.
    """
    found = _git(repository, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.strip()
    inside = _git(repository, "rev-parse", "--git-dir")
    why = f"no commit {ref!r} in {repository}; a shallow clone lacks it (fetch-depth: 0)"
    if inside.returncode:
        why = f"{repository} is no git repository: {inside.stderr.strip()}"
    raise click.BadParameter(why, param_hint=option)


def has_changes(repository: Path) -> bool:
    """Whether tracked files differ from the last commit."""
    found = _git(repository, "status", "--porcelain", "--untracked-files=no")
    return bool(found.stdout.strip())


@contextmanager
def checked_out(repository: Path, commit: str, directory: Path) -> Iterator[Path]:
    _git(repository, "worktree", "prune")  # of a gate that was killed
    made = _git(repository, "worktree", "add", "--quiet", "--detach", str(directory), commit)
    try:
        if made.returncode:
            raise click.ClickException(f"{commit} cannot be checked out: {made.stderr.strip()}")
        yield directory
    finally:
        _git(repository, "worktree", "remove", "--force", "--force", str(directory))


def _git(repository: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "-C", str(repository), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    except FileNotFoundError:
        raise click.ClickException("git is not installed, or not on PATH") from None
