"""The pod's certificate, its key, and who signs those of clients: files, read again on change."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc

from fleetq_server.errors import ConfigError
from fleetq_server.rpc.security.watched import Watched, read_file


class Certificates:
    """TLS, and mutual TLS if there is a `client_ca`: then only whom it signed may connect.

    A changed file counts from the next connection on; those that are open go on.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Raises: ConfigError naming the file."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        paths = (certificate, key) if client_ca is None else (certificate, key, client_ca)
        self._files = Watched(paths, self._read)

    @property
    def mutual(self) -> bool:
        return self._client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        first = self._files.value
        # The type stubs do not know that it may answer None: as before.
        changed = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed)
        return grpc.dynamic_ssl_server_credentials(first, changed, self.mutual)

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        # Called by gRPC at each connection.
        return self._files.value if self._files.fresh() else None

    def _read(self) -> grpc.ServerCertificateConfiguration:
        pair = read_file(self._key), read_file(self._certificate)
        roots = read_file(self._client_ca) if self._client_ca else None
        self._check()
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _check(self) -> None:
        # gRPC would serve what does not fit together, and say at each connection that it failed.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key with a passphrase is not asked for one at a terminal nobody sits at.
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        except (ssl.SSLError, ValueError):
            raise ConfigError(
                f"tls_certificate={self._certificate} and tls_key={self._key} are no "
                "certificate in PEM and its key without a passphrase"
            ) from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError:
                raise ConfigError(
                    f"tls_client_ca={self._client_ca} holds no certificate in PEM"
                ) from None
