"""Tokens, and the file that says which of them count.

One line for each token: a name, its roles, and the hash of the token, which itself is nowhere.

    # the workers of the video fleet
    video work sha256:9f2b…

Several lines may have the same name, so that a new token is let in before the old one is taken
out. A plain hash is enough, because tokens are random: there is no dictionary of them.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fleetq_server.errors import ConfigError

PREFIX = "fq_"  # so that scanners of logs and repositories know one when they see it
LONGEST_TOKEN = 256

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_HASH = re.compile(r"sha256:([0-9a-f]{64})\Z")


class Role(StrEnum):
    SUBMIT = "submit"
    WORK = "work"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token stands for."""

    name: str
    roles: frozenset[Role]


class Entry(NamedTuple):
    digest: bytes
    principal: Principal


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def file_line(name: str, roles: Iterable[Role], token: str) -> str:
    """The line for the file. Raises: ConfigError if the name is none."""
    _check_name(name, "--name")
    return f"{name} {','.join(sorted(set(roles)))} sha256:{_digest(token).hex()}"


def read_entries(text: str, file: str) -> tuple[Entry, ...]:
    """Raises: ConfigError naming the file and the line, and nothing of what stands there."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(
        _entry(words, f"{file}, line {number}") for number, words in enumerate(lines, 1) if words
    )


def find(entries: Iterable[Entry], token: str) -> Principal | None:
    """Takes as long whichever of them it is, and however much of a wrong one is right."""
    digest = _digest(token)
    found = None
    for entry in entries:
        if hmac.compare_digest(entry.digest, digest):
            found = entry.principal
    return found


def _entry(words: list[str], where: str) -> Entry:
    if len(words) != 3:
        raise ConfigError(f"{where}: write NAME ROLE,… sha256:HASH, as fleetq token new does")
    name, roles, found = words[0], words[1].split(","), _HASH.match(words[2])
    _check_name(name, where)
    if not set(roles) <= set(Role):
        raise ConfigError(f"{where}: roles are {', '.join(Role)}, with commas between")
    if found is None:
        raise ConfigError(f"{where}: no sha256:HASH; the token itself must not be in this file")
    return Entry(bytes.fromhex(found[1]), Principal(name, frozenset(map(Role, roles))))


def _check_name(name: str, where: str) -> None:
    if not _NAME.match(name):
        raise ConfigError(f"{where}: a name is 1 to 32 of a-z 0-9 -, not beginning with -")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
