"""Which addresses a worker may fetch from: those that anybody on the internet could."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from tasks.platforms.port import PermanentPlatformError, TemporaryPlatformError

IsAllowed = Callable[[IPv4Address | IPv6Address], bool]

#: Addresses that carry another one inside: NAT64, 6to4 and Teredo gateways would unwrap it.
_WRAPPED: Final = tuple(
    ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether this is an ordinary address of the internet, and not another one in disguise."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.is_site_local):
        return False
    if any(address.version == net.version and address in net for net in _WRAPPED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def resolve(host: str, port: int, is_allowed: IsAllowed) -> list[str]:
    """The host's addresses, in the order to try them, looked up once.

    Raises PermanentPlatformError when any of them is not allowed: a name that is public and private at once
    is somebody's attempt. Decimal, octal and hexadecimal spellings are addresses here as for ``connect``.
    """
    addresses = list(dict.fromkeys(_looked_up(host, port)))
    for address in addresses:
        if not is_allowed(ip_address(address.partition("%")[0])):
            raise PermanentPlatformError(f"{host[:100]} is not a public address")
    return addresses


def _looked_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise TemporaryPlatformError(f"{host[:100]} cannot be found: {error.strerror}") from error
    except UnicodeError as error:
        raise PermanentPlatformError(f"{host[:100]!r} is not a host name") from error
    return [str(entry[4][0]) for entry in found]
