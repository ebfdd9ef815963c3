"""What a request means: an answer of our own, the model, another host, or nothing that is reached from here. Pure.

Exactly two endpoints are passed on to the model, compared letter by letter: nothing is decoded, joined or tidied up
first, so no spelling of another path becomes one of them on the way.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiagentchat.core.isolation import Network
from aiagentchat.egress import answers
from aiagentchat.egress.answers import Refusal
from aiagentchat.egress.headers import Headers, values
from aiagentchat.egress.rules import Reach, Target, may, parse

ENDPOINTS = frozenset(("/v1/messages", "/v1/messages/count_tokens"))
ROOM = "/room/mcp"
"""Where a run finds the tools of its room."""
HELLO = frozenset(("/", "/api/hello"))
"""What the CLI looks for to see whether anybody is there."""

_ABSOLUTE = re.compile(r"http://([^/?#]*)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_HTTP_PORT = 80
_OLD = b"1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who may pass, and how far."""

    token: str = field(repr=False)
    also: str | None = field(default=None, repr=False)
    """A second token that opens the way to the model."""
    network: Network = Network.API
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The head of a request."""

    method: bytes
    target: bytes
    headers: Headers
    http_version: bytes = b"1.1"


@dataclass(frozen=True, slots=True)
class Hello:
    """Answered here."""


@dataclass(frozen=True, slots=True)
class AskModel:
    """Passed on to the model."""

    target: str
    """The path with its query, as it came."""


@dataclass(frozen=True, slots=True)
class AskRoom:
    """For the tools that the daemon itself gives the run."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A connection to a host, in which we only count."""

    target: Target
    reach: Reach


@dataclass(frozen=True, slots=True)
class Forward:
    """A plain request to a host."""

    target: Target
    reach: Reach
    path: str


Allowed: TypeAlias = Hello | AskModel | AskRoom | Tunnel | Forward
Decision: TypeAlias = Allowed | Refusal


def decide(asked: Asked, door: Door) -> Decision:
    """What follows from a request."""
    target = asked.target.decode("latin-1")
    if asked.method == b"CONNECT":
        return _decide_connect(asked, target, door)
    if not target.startswith("/") and target != "*":
        return _decide_absolute(asked, target, door)
    path = target.partition("?")[0]
    if asked.method == b"HEAD" and path in HELLO:
        return Hello()
    if target == ROOM:
        return _decide_room(asked, door)
    if asked.method != b"POST" or path not in ENDPOINTS or "#" in target:
        return answers.NOT_THIS
    if not _opens(_model_tokens(asked.headers), (door.token, door.also)):
        return answers.WRONG_TOKEN
    return answers.TOO_OLD if asked.http_version == _OLD else AskModel(target)


def _decide_room(asked: Asked, door: Door) -> Decision:
    """The run's own token, and no other: a subscription's that the room holds says nothing about which room it is."""
    if asked.method != b"POST":
        return answers.ONLY_POST
    if not _opens(_model_tokens(asked.headers), (door.token,)):
        return answers.WRONG_TOKEN
    return answers.TOO_OLD if asked.http_version == _OLD else AskRoom()


def _decide_connect(asked: Asked, authority: str, door: Door) -> Decision:
    if not _opens(_proxy_tokens(asked.headers), (door.token,)):
        return answers.NO_PROXY_TOKEN
    lengths = values(asked.headers, b"content-length")
    if values(asked.headers, b"transfer-encoding") or any(length.strip(b"0") for length in lengths):
        return answers.NO_BODY_HERE
    target = parse(authority)
    if target is None:
        return answers.NO_HOST
    reach = may(target.host, target.port, door.network, door.hosts)
    return answers.blocked(target, door.network) if reach is Reach.NOWHERE else Tunnel(target, reach)


def _decide_absolute(asked: Asked, address: str, door: Door) -> Decision:
    if not _opens(_proxy_tokens(asked.headers), (door.token,)):
        return answers.NO_PROXY_TOKEN
    match = _ABSOLUTE.fullmatch(address)
    if match is None:
        return answers.USE_CONNECT
    target = parse(match[1], default_port=_HTTP_PORT)
    if target is None:
        return answers.NO_HOST
    reach = may(target.host, target.port, door.network, door.hosts)
    if reach is Reach.NOWHERE:
        return answers.blocked(target, door.network)
    # Who speaks HTTP/1.0 could not tell a whole answer from one that was cut off.
    path = match[2] or "/"
    return answers.TOO_OLD if asked.http_version == _OLD else Forward(target, reach, f"/{path.removeprefix('/')}")


def _opens(given: Iterable[bytes], right: Iterable[str | None]) -> bool:
    """Whether one of the tokens is right. How long it takes says nothing about which, or how much of it."""
    expected = [each.encode() for each in right if each]
    return sum(hmac.compare_digest(token, each) for token in given for each in expected) > 0


def _model_tokens(headers: Headers) -> list[bytes]:
    return [*values(headers, b"x-api-key"), *_credentials(headers, b"authorization", b"bearer")]


def _proxy_tokens(headers: Headers) -> list[bytes]:
    """The passwords; whatever stands for the user does not matter."""
    tokens = []
    for encoded in _credentials(headers, b"proxy-authorization", b"basic"):
        try:
            tokens.append(base64.b64decode(encoded, validate=True).partition(b":")[2])
        except binascii.Error:
            continue
    return tokens


def _credentials(headers: Headers, name: bytes, scheme: bytes) -> list[bytes]:
    split = (value.partition(b" ") for value in values(headers, name))
    return [credentials.strip() for said, _, credentials in split if said.lower() == scheme]
