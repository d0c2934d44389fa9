"""Where a request comes from, as far as limits are concerned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from werkzeug.middleware.proxy_fix import ProxyFix

from jobcast.server.settings import ServerSettings

#: What somebody who owns one IPv6 address owns at least.
_IPV6_PREFIX: Final = 64


class Addresses:
    """Tells addresses apart for the limits: ``hops`` proxies are trusted, loopback may not count."""

    def __init__(self, hops: int, *, counts_loopback: bool) -> None:
        self._hops = hops
        self._counts_loopback = counts_loopback

    def of(self, environ: Mapping[str, Any]) -> str:
        """The address to count, an IPv6 /64 as one; empty for one that is not counted."""
        return self._counted(self.behind_proxies(environ))

    def of_peer(self, address: str) -> str:
        """The same for a connection that has said nothing yet; behind a proxy they are all the proxy's."""
        return "" if self._hops else self._counted(address)

    def are_together(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two requests may be one client's: from one address, or by IPv4 and by IPv6."""
        first = _known_as(self.behind_proxies(one))[0]
        second = _known_as(self.behind_proxies(other))[0]
        return first == second or (":" in first) != (":" in second)

    def _counted(self, address: str) -> str:
        name, is_loopback = _known_as(address)
        return "" if is_loopback and not self._counts_loopback else name

    def behind_proxies(self, environ: Mapping[str, Any]) -> str:
        """The address as it is, for a log."""
        if self._hops and "werkzeug.proxy_fix.orig" not in environ:
            environ = dict(environ)
            ProxyFix(_nothing, x_for=self._hops, x_proto=0, x_host=0)(environ, _ignore)
        return str(environ.get("REMOTE_ADDR", ""))


def addresses_of(settings: ServerSettings) -> Addresses:
    """As the settings have it."""
    return Addresses(settings.jobcast_proxy_hops, counts_loopback=settings.jobcast_limit_loopback)


@lru_cache(maxsize=4_096)
def _known_as(address: str) -> tuple[str, bool]:
    """How an address is counted, and whether it is this machine's own."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address, False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.version == 4:
        return str(ip), ip.is_loopback
    network = int(ip) >> (128 - _IPV6_PREFIX) << (128 - _IPV6_PREFIX)
    return f"{IPv6Address(network)}/{_IPV6_PREFIX}", False


def _nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return []


def _ignore(*_: Any) -> Any:
    return None
