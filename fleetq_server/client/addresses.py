"""Addresses as people write them → gRPC targets."""

import ipaddress
import re
from collections.abc import Iterable

from fleetq_server.errors import InvalidArgument

_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]/]+):(?P<port>\d{1,5})")
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")


def split_addresses(addresses: str | Iterable[str]) -> tuple[str, ...]:
    """`"a:1,b:2"`, or any iterable of such, as single addresses.

    Raises:
        InvalidArgument: there is none, or one is not host:port.
    """
    texts = [addresses] if isinstance(addresses, str) else addresses
    parts = (part.strip() for text in texts for part in _commas(text))
    found = tuple(dict.fromkeys(part for part in parts if part))
    if not found:
        raise InvalidArgument("address", "is empty; give host:port")
    return found


def targets(addresses: Iterable[str], *, apart: bool = False) -> list[str]:
    """One gRPC target for all literal IPv4 addresses, one for all IPv6, one for each name; one
    for each of whatever sort if they are to stay `apart`.

    A target of several literals is balanced by gRPC; names stay apart because gRPC takes only
    one, and looks it up again when its pods move.
    """
    groups: dict[str, list[str]] = {}
    for address in addresses:
        scheme = _scheme(address)
        together = scheme in ("ipv4:", "ipv6:") and not apart
        groups.setdefault(scheme if together else scheme + address, []).append(address)
    return [key + ",".join(group) if key.endswith(":") else key for key, group in groups.items()]


def _commas(text: str) -> list[str]:
    return [text] if text.startswith(_SCHEMES) else text.split(",")


def _scheme(address: str) -> str:
    if address.startswith(_SCHEMES):
        return ""
    match = _HOST_PORT.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise InvalidArgument("address", f"{address!r} is not host:port")
    try:
        return f"ipv{ipaddress.ip_address(match['host'].strip('[]')).version}:"
    except ValueError:
        return "dns:///"
