"""Attacks on services of this machine, and on the way out of it. Nothing is ever sent to another machine."""

import socket

from .tools import Targets, attack

_SECONDS = 2.0
_PUBLIC = "203.0.113.1"
"""Of the network that is kept for documentation: nobody is there."""
_METADATA = "169.254.169.254"
_ANY_PORT = 9


def _greeted(family: int, address: "tuple[str, int] | str") -> str:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(address)
        return connection.recv(4096).decode("utf-8", "replace")


@attack("net.tcp")
def tcp(targets: Targets, id_: str) -> str:  # noqa: ARG001 - as all attacks
    return _greeted(socket.AF_INET, ("127.0.0.1", targets.daemon["tcp"]))


@attack("net.tcp6")
def tcp6(targets: Targets, id_: str) -> str:  # noqa: ARG001
    return _greeted(socket.AF_INET6, ("::1", targets.daemon["tcp6"]))


@attack("net.udp")
def udp(targets: Targets, id_: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(id_.encode(), ("127.0.0.1", targets.daemon["udp"]))
    return ""


@attack("net.unix")
def unix(targets: Targets, id_: str) -> str:
    return _greeted(socket.AF_UNIX, targets.paths[id_])


@attack("net.abstract")
def abstract(targets: Targets, id_: str) -> str:  # noqa: ARG001
    return _greeted(socket.AF_UNIX, f"\0{targets.daemon['abstract']}")


@attack("net.public", "net.metadata")
def has_a_route(targets: Targets, id_: str) -> str:  # noqa: ARG001
    """Connecting a datagram socket sends nothing: the kernel only looks for the way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect((_PUBLIC if id_ == "net.public" else _METADATA, _ANY_PORT))
        return f"from {connection.getsockname()[0]}"


@attack("net.raw")
def raw(targets: Targets, id_: str) -> str:  # noqa: ARG001
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return "a raw socket"
