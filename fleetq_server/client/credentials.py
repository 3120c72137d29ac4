"""How a client shows who it is, and knows whom it talks to."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import grpc

from fleetq_server.errors import ConfigError
from fleetq_server.exposure import is_loopback

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """For pods that serve TLS.

    Args:
        ca: PEM file with the certificates that may have signed a pod's; unless given, those that
            gRPC brings for the web.
        certificate: PEM file with the client's own, for pods that ask for one.
        key: PEM file with its key.
        server_name: The name in the pods' certificates, if it is not that in their addresses.
    """

    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises: ConfigError naming the file that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("a certificate needs its key beside it, and the other way round")
        return grpc.ssl_channel_credentials(
            _read(self.ca), private_key=_read(self.key), certificate_chain=_read(self.certificate)
        )

    @property
    def options(self) -> list[tuple[str, str | int]]:
        name = self.server_name
        return [("grpc.ssl_target_name_override", name)] if name else []


class Token:
    """What goes along with each call. A file is read again when it changes, so that a token can be
    replaced while a worker runs."""

    def __init__(self, token: str | Path) -> None:
        """Raises: ConfigError: the file cannot be read, or there is no token."""
        self._file = token if isinstance(token, Path) else None
        self._stamp: tuple[int, int] | None = None
        self._metadata: Metadata = ()
        if isinstance(token, str):
            self._metadata = _metadata(token, "token")
        else:
            self._look(token)

    @property
    def metadata(self) -> Metadata:
        if self._file is not None:
            self._look(self._file)
        return self._metadata

    def _look(self, file: Path) -> None:
        try:
            found = file.stat()
            stamp = found.st_mtime_ns, found.st_ino
            if stamp != self._stamp:
                self._metadata = _metadata((_read(file) or b"").decode("ascii"), f"file {file}")
                self._stamp = stamp
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            if self._metadata:  # half written, or gone: what was there may still do
                return
            if isinstance(error, ConfigError):
                raise
            problem = error.strerror if isinstance(error, OSError) else "is not a token"
            raise ConfigError(f"file {file}: {problem}") from None


class Credentials(TypedDict):
    """What a client takes besides addresses, to be let in."""

    tls: Tls | None
    token: str | Path | None
    allow_insecure: bool


def _variable(name: str) -> str | None:
    return os.environ.get(f"FLEET_Q_{name.upper()}") or None


def credentials(given: Callable[[str], str | None] = _variable) -> Credentials:
    """As `FLEET_Q_CA`, `…_CERTIFICATE`, `…_KEY`, `…_SERVER_NAME`, `…_TOKEN_FILE`, `…_TOKEN` and
    `…_ALLOW_INSECURE` say, or who else is asked for `ca`, `certificate` and so on. The ca `system`
    is the one that gRPC brings."""
    ca, certificate, key = map(given, ("ca", "certificate", "key"))
    tls = None
    if ca or certificate or key:
        tls = Tls(None if ca == "system" else ca, certificate, key, given("server_name"))
    file = given("token_file")
    return Credentials(
        tls=tls,
        token=Path(file) if file else _variable("token"),
        allow_insecure=(_variable("allow_insecure") or "").lower() in ("1", "true"),
    )


def refuse_in_the_clear(addresses: Iterable[str]) -> None:
    """Raises: ConfigError: a token would travel to another host for everybody to read."""
    for address in addresses:
        if not (is_loopback(address) or address.startswith("unix")):
            raise ConfigError(
                f"a token for {address} would travel in the clear: give tls, or allow_insecure"
            )


def _metadata(text: str, where: str) -> Metadata:
    token = text.strip()
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(f"{where}: is not one token, as fleetq token new prints it")
    return (("authorization", f"Bearer {token}"),)


def _read(path: str | Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"file {path}: {error.strerror}") from None
