"""Which headers of a message are passed on. Pure.

What describes a connection ends with it. What proves who somebody is, or claims it, is never passed on to the model:
there we speak for the run.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from aiagentchat.egress.rules import Target

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

_OF_CONNECTION = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authorization", b"proxy-authentication-info"),
    )
)
_OURS_TO_SAY = frozenset((b"host", b"expect"))
_PROOFS = (b"authorization", b"cookie", b"api-key", b"auth-token")
_CLAIMS = (b"forwarded", b"x-forwarded", b"x-real-ip")
_LENGTH = b"content-length"
_HTTP_PORT = 80


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Each value of a header."""
    return [value for each, value in headers if each == name]


def to_model(headers: Headers) -> list[tuple[str, str]]:
    """Those of a request to the model, without any credential."""
    kept = _kept(headers, _OURS_TO_SAY)
    # As text, because the client of the upstream wants it so; it sends UTF-8.
    return [
        (name.decode("ascii"), value.decode("utf-8", "replace"))
        for name, value in kept
        if not name.startswith(_CLAIMS) and not any(part in name for part in _PROOFS)
    ]


def to_host(headers: Headers, target: Target) -> list[tuple[bytes, bytes]]:
    """Those of a request to another host: the room's own credentials for it are the room's business."""
    host = target.bracketed if target.port == _HTTP_PORT else str(target)
    chunks = [(b"transfer-encoding", b"chunked")] if values(headers, b"transfer-encoding") else []
    return [(b"host", host.encode("ascii")), *_kept(headers, _OURS_TO_SAY), *chunks, (b"connection", b"close")]


def from_model(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Those of its answer. Its cookies are ours."""
    return [(name, value) for name, value in from_host(headers) if name != b"set-cookie"]


def from_host(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Those of another host's answer."""
    return _kept([(name.lower(), value) for name, value in headers])


def _kept(headers: Headers, dropped: Iterable[bytes] = ()) -> list[tuple[bytes, bytes]]:
    named = {name.strip().lower() for value in values(headers, b"connection") for name in value.split(b",")}
    # The length is how the message is read, whatever anybody says; but what comes in chunks has none.
    gone = _OF_CONNECTION | (named - {_LENGTH}) | set(dropped)
    if values(headers, b"transfer-encoding"):
        gone |= {_LENGTH}
    return [(name, value) for name, value in headers if name not in gone]
