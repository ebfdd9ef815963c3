"""Which hosts a run may reach. Pure: a name in, a decision out.

Two questions, for a name is not yet an address: may the name be asked for (`may`), and may the address that it leads to
be dialled (`is_public`)? A host is compared in one plain spelling: lower case, no final dot, an address as an address.
What has no plain spelling is no host, so that nothing depends on how a resolver reads `0x7f.1` or `2130706433`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from aiagentchat.core.isolation import Network

Address: TypeAlias = IPv4Address | IPv6Address

WEB_PORTS = (80, 443)
"""What an entry without a port means."""
MOST_NAME = 253
"""The longest name that DNS has."""

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_MOST_PORT = 65_535

_GLOBAL = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
# Beside what `ipaddress` calls not global, which differs between versions of Python.
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # special purposes, some of which are "global"
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # the metadata of a large cloud: a public address that is answered on the host
    IPv6Network("2001::/23"),  # special purposes: Teredo, ORCHID …
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address, which may be any, behind relays that are no more
    IPv6Network("3fff::/20"),  # documentation
)


class Reach(Enum):
    """How far the name of a host leads."""

    NOWHERE = auto()
    PUBLIC = auto()
    """To its public addresses."""
    ANYWHERE = auto()
    """To any address: whoever wrote the list wants this very host."""


@dataclass(frozen=True, slots=True)
class Target:
    """A host in its plain spelling, and a port."""

    host: str
    """A name, or an address without brackets."""
    port: int

    @property
    def address(self) -> Address | None:
        """The host, if it is an address and no name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def bracketed(self) -> str:
        """The host as it stands in front of a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.bracketed}:{self.port}"


def parse(authority: str, *, default_port: int | None = None) -> Target | None:
    """A `host:port`, as in CONNECT and in addresses; None if it is none that can be meant in only one way."""
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, number = authority, default_port
    else:
        number = int(port) if _PORT.fullmatch(port) else None
    if ":" in host and not host.startswith("["):
        return None
    name = plain(host)
    return Target(name, number) if name and number and number <= _MOST_PORT else None


def plain(host: str) -> str | None:
    """The one spelling of a host: a name, or an address without brackets; None if it is neither."""
    if not host.isascii():  # names of other scripts travel as xn--…
        return None
    if ":" in host:
        return _plain_v6(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    name = host.lower().removesuffix(".")
    if len(name) > MOST_NAME or not _NAME.fullmatch(name):
        return None
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name
    try:  # resolvers read 127.1, 0177.0.0.1 and 2130706433 as addresses, each in its own way
        return str(IPv4Address(name))
    except ValueError:
        return None


def _plain_v6(text: str) -> str | None:
    if "%" in text:  # a zone: only what is on this link has one
        return None
    try:
        return str(IPv6Address(text))
    except ValueError:
        return None


def may(host: str, port: int, network: Network, hosts: Sequence[str]) -> Reach:
    """How far a run with this `network` and these `network_hosts` gets with the host, in whatever spelling.

    Only an entry that names the host itself leads to addresses that are not public: whoever owns a domain can let any
    name below it lead anywhere, so `*.name` is not enough.
    """
    name = plain(host)
    if network is Network.API or name is None:
        return Reach.NOWHERE
    entries = [_entry(each) for each in hosts]
    if any(port in ports and plain(listed) == name for listed, ports in entries):
        return Reach.ANYWHERE
    is_listed = any(port in ports and _is_below(name, listed) for listed, ports in entries)
    return Reach.PUBLIC if network is Network.FULL or is_listed else Reach.NOWHERE


def _entry(text: str) -> tuple[str, Sequence[int]]:
    """An entry of `network_hosts`: a host or a pattern, and the ports that it opens."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or not _PORT.fullmatch(port):
        return text, WEB_PORTS
    return host, (int(port),)


def _is_below(name: str, pattern: str) -> bool:
    parent = plain(pattern.removeprefix("*.")) if pattern.startswith("*.") else None
    return parent is not None and name.endswith(f".{parent}")  # nothing is below an address: that is no host


def is_public(address: Address) -> bool:
    """Whether this is an address of the internet: not of this machine, its networks or its cloud, in any disguise."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(_last_32_bits(address))
        is_isatap = (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP
        if address not in _GLOBAL or (is_isatap and not is_public(_last_32_bits(address))):
            return False
    if any(address in each for each in _NOT_PUBLIC if each.version == address.version):
        return False
    return address.is_global and not address.is_multicast


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)
