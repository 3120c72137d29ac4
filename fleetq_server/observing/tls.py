"""TLS of the metrics' port, with the files of the pod's gRPC port, read again when they change."""

import ssl
from pathlib import Path

from fleetq_server.config import Settings
from fleetq_server.errors import ConfigError
from fleetq_server.rpc.security.watched import Watched


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """None without TLS. Raises: ConfigError naming the files that cannot be used."""
    names = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    if not settings.tls_certificate:
        return None
    files = Watched(tuple(Path(name) for name in names if name), lambda: _context(*names))

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: object) -> None:
        connection.context = files.value

    # Called in each handshake, whether or not a name was asked for. A context of its own, for one
    # cannot be made to forget an authority.
    first = _context(*names)
    first.sni_callback = choose
    return first


def _context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # A key with a passphrase is not asked for one at a terminal nobody sits at.
        context.load_cert_chain(certificate, key, password=lambda: b"")
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError):
        raise ConfigError(
            f"tls_certificate={certificate}, tls_key={key}, tls_client_ca={client_ca}: "
            "one of them is not PEM, or the key has a passphrase"
        ) from None
    return context
