"""Whose request this is: the peer's address, or what a configured proxy says of it.

The right-most address that is not a trusted proxy counts; headers from anywhere else are
ignored, and one that cannot be parsed is refused.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from idp.errors import OAuthError
from idp.factors.base import N_

Network = IPv4Network | IPv6Network


def remote(environ: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    peer = str(environ.get("REMOTE_ADDR", ""))
    if not from_proxy(environ, trusted):
        return peer
    hops = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        found = _address(hop)
        if found is None:
            raise OAuthError("invalid_request", N_("X-Forwarded-For cannot be read."))
        if not _within(found, trusted):
            return str(found)
    return peer


def from_proxy(environ: Mapping[str, Any], trusted: Sequence[Network]) -> bool:
    """Whether a configured proxy sent this request itself: the headers that it sets may count."""
    if not trusted:
        return False
    address = _address(str(environ.get("REMOTE_ADDR", "")))
    return address is not None and _within(address, trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _within(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
