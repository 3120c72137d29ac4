"""From the settings to what guards a pod's port."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleetq_server.config import Settings
from fleetq_server.exposure import exposure
from fleetq_server.rpc.security.allowance import Allowance
from fleetq_server.rpc.security.certificates import Certificates
from fleetq_server.rpc.security.gate import TokenGate
from fleetq_server.rpc.security.ownership import Masks


@dataclass(frozen=True, slots=True)
class Security:
    """None of it: whoever reaches the port may do everything, and the network may listen."""

    certificates: Certificates | None = None
    gate: TokenGate | None = None
    masks: Masks | None = None

    def exposure(self, listen: str) -> str:
        """What is wrong with serving other hosts so, or nothing."""
        mutual = self.certificates is not None and self.certificates.mutual
        credentials = mutual or self.gate is not None
        return exposure(listen, tls=self.certificates is not None, credentials=credentials)


OPEN = Security()


def security(settings: Settings, secret: Callable[[], bytes]) -> Security:
    """`secret` gives the fleet's. Raises: ConfigError naming a file that cannot be used."""
    certificates = gate = masks = None
    if settings.tls_certificate:
        client_ca = Path(settings.tls_client_ca) if settings.tls_client_ca else None
        certificates = Certificates(
            Path(settings.tls_certificate), Path(settings.tls_key), client_ca
        )
    if settings.tokens:
        allowance = Allowance(
            settings.max_principal_calls_per_second, settings.max_principal_waiting_calls
        )
        gate, masks = TokenGate(Path(settings.tokens), allowance), Masks(secret())
    return Security(certificates, gate, masks)
