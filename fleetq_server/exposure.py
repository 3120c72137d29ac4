"""Whom an address lets in, and what it takes to serve others than one's own host."""

import ipaddress
from collections.abc import Mapping

COULD = {"listen": "submit steps", "metrics": "read what it tells"}


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT can be reached from this host only."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def exposure(address: str, *, tls: bool, credentials: bool, setting: str = "listen") -> str:
    """What is wrong with serving there, or nothing. `credentials`: callers show who they are."""
    if is_loopback(address) or (tls and credentials):
        return ""
    here = f"{setting}={address} is open to other hosts while allow_insecure=false: "
    if credentials:
        return f"{here}tokens would travel in the clear; give tls_certificate and tls_key"
    return (
        f"{here}anybody who reaches it could {COULD[setting]}; "
        "give tls_certificate, tls_key, and tokens or tls_client_ca"
    )


def exposures(addresses: Mapping[str, str], *, tls: bool, credentials: bool) -> str:
    """The same of several settings, of which some may be empty: what is wrong with the first."""
    found = (
        exposure(address, tls=tls, credentials=credentials, setting=setting)
        for setting, address in addresses.items()
        if address
    )
    return next(filter(None, found), "")


def half_tls(certificate: str, key: str, client_ca: str) -> str:
    """Which of the files of TLS is missing, or nothing."""
    if bool(certificate) != bool(key):
        have, lack = ("certificate", "key") if certificate else ("key", "certificate")
        return f"tls_{have}={certificate or key!r} needs tls_{lack} beside it"
    if client_ca and not certificate:
        return f"tls_client_ca={client_ca!r} needs tls_certificate and tls_key beside it"
    return ""
