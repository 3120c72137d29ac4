"""Whom an address lets in, and what it takes to serve others than one's own host."""

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT can be reached from this host only."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def exposure(listen: str, *, tls: bool, credentials: bool) -> str:
    """What is wrong with serving there, or nothing. `credentials`: callers show who they are."""
    if is_loopback(listen) or (tls and credentials):
        return ""
    here = f"listen={listen} is open to other hosts while allow_insecure=false: "
    if credentials:
        return f"{here}tokens would travel in the clear; give tls_certificate and tls_key"
    return (
        f"{here}anybody who reaches it could submit steps; "
        "give tls_certificate, tls_key, and tokens or tls_client_ca"
    )


def half_tls(certificate: str, key: str, client_ca: str) -> str:
    """Which of the files of TLS is missing, or nothing."""
    if bool(certificate) != bool(key):
        have, lack = ("certificate", "key") if certificate else ("key", "certificate")
        return f"tls_{have}={certificate or key!r} needs tls_{lack} beside it"
    if client_ca and not certificate:
        return f"tls_client_ca={client_ca!r} needs tls_certificate and tls_key beside it"
    return ""
