"""Which requests are looked at at all: none that a web page, a foreign name or another user has brought here. Pure.

A browser of this machine reaches 127.0.0.1, and a page can make it try. It cannot choose the Host that the browser
sends (so a name that was led here by DNS shows), nor leave out Origin or Sec-Fetch-Site where a browser sends them.
"""

from collections.abc import Collection, Sequence

from aiagentchat.gateway.problems import Trouble

Headers = Sequence[tuple[bytes, bytes]]
"""As they came, with lower-case names."""

_SAME_SITE = frozenset({b"same-origin", b"none"})
_BEARER = b"bearer "
_MOST_TOKEN = 200

WRONG_HOST = Trouble(
    "wrong_host", "The Host of the request is not this gateway: ask 127.0.0.1 or localhost, with the port."
)
WRONG_ORIGIN = Trouble("wrong_origin", "Web pages may not speak with the gateway.")
WRONG_PEER = Trouble("wrong_peer", "This socket is for the user that runs the daemon.")


def hosts_of(port: int) -> frozenset[bytes]:
    """How a request may name the port."""
    return frozenset(f"{host}:{port}".encode() for host in ("127.0.0.1", "localhost", "[::1]"))


def check_port(headers: Headers, hosts: Collection[bytes]) -> Trouble | None:
    """Why a request at the port is refused, whoever sends it; None: it is not."""
    named = _all(headers, b"host")
    if len(named) != 1 or named[0].lower() not in hosts:
        return WRONG_HOST
    return _check_origin(headers)


def check_socket(headers: Headers, peer: int | None, ours: int) -> Trouble | None:
    """The same at the socket: `peer` is the user at the other end, None where the kernel does not say."""
    if peer not in (0, ours):
        return WRONG_PEER
    return _check_origin(headers)


def _check_origin(headers: Headers) -> Trouble | None:
    if _all(headers, b"origin") or any(site not in _SAME_SITE for site in _all(headers, b"sec-fetch-site")):
        return WRONG_ORIGIN
    return None


def bearer(headers: Headers) -> str | None:
    """The token of the request; None where there is none, more than one, or none that could be ours."""
    given = _all(headers, b"authorization")
    if len(given) != 1 or not given[0].lower().startswith(_BEARER):
        return None
    token = given[0][len(_BEARER) :].strip(b" ")
    return token.decode("ascii") if token and len(token) <= _MOST_TOKEN and token.isascii() else None


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]
