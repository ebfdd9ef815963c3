"""Who speaks with the gateway, and what they may: by the token that a request has."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from aiagentchat.config.schema import GatewayCaller
from aiagentchat.config.settings import Settings
from aiagentchat.core.exchange import EVERYTHING, Caller, Scope
from aiagentchat.core.ids import CallerName, RoomId
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.gateway import GatewayTokens, GivenToken
from aiagentchat.gateway.tokens import OPERATOR, PORT, TOKEN_BYTES, Tokens, caller_file

MOST_LOGINS = 100
"""Tokens of logins that have not expired."""
LOGIN_PREFIX = "gw_"

ALL = "*"


def configured(name: str, said: GatewayCaller, settings: Settings) -> Caller:
    """A caller of config.yaml. Rooms that are not ours (any more) give it nothing."""
    wanted = {Scope.READ: said.read, Scope.SEND: said.send, Scope.RUN: said.run}
    scopes: dict[RoomId, frozenset[Scope]] = {}
    for scope, rooms in wanted.items():
        for room in _rooms(rooms, settings):
            scopes[room] = scopes.get(room, frozenset()) | {scope}
    everywhere = frozenset(scope for scope, rooms in wanted.items() if ALL in rooms)
    return Caller(name=CallerName(name), scopes=scopes, everywhere=everywhere)


def _rooms(named: Collection[str], settings: Settings) -> Iterable[RoomId]:
    return (room.id for room in settings.rooms if room.id in named or room.name in named)


def narrowed(caller: Caller, rooms: Collection[RoomId] | None, may: frozenset[Scope]) -> Caller:
    """The same with nothing but `may`, and, unless that is None, nowhere but in `rooms`."""
    if rooms is None:
        scopes = {room: some & may for room, some in caller.scopes.items()}
        return Caller(name=caller.name, scopes=scopes, everywhere=caller.everywhere & may)
    reached = {room: caller.everywhere | caller.scopes.get(room, frozenset()) for room in rooms}
    return Caller(name=caller.name, scopes={room: some & may for room, some in reached.items()})


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token is worth, before it is looked at where it was shown."""

    caller: Caller
    at_socket_only: bool = False
    is_of_file: bool = True
    """Whether a file has it; else a login gave it."""


class Callers:
    """Tells who has a token."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        logins: GatewayTokens,
        settings: Callable[[], Settings],
        told: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        """`told` hears the name and the value of every secret."""
        self._tokens = tokens
        self._logins = logins
        self._settings = settings
        self._told = told
        self._clock = clock
        self._given: dict[str, GivenToken] = {}

    async def prepare(self) -> None:
        """Take in what logins of earlier lives gave."""
        self._given = {each.digest: each for each in await self._logins.valid(self._clock.now_ms())}

    def find(self, token: str) -> Credential | None:
        """Whose token it is; None: nobody's (any more)."""
        name = self._tokens.owner(token)
        if name is None:
            return self._of_login(token)
        if name == OPERATOR:
            operator = Caller(name=CallerName("operator"), everywhere=EVERYTHING, is_operator=True)
            return Credential(operator, at_socket_only=True)
        if name == PORT:
            return Credential(Caller(name=CallerName("port"), everywhere=EVERYTHING))
        callers = self._by_file()
        return Credential(callers[name]) if name in callers else None

    def configured(self, name: str) -> Caller | None:
        """The caller that config.yaml calls so."""
        return self._by_file().get(caller_file(name))

    async def give(self, caller: Caller, seconds: int) -> tuple[str, int] | None:
        """A fresh token for as much as `caller` may, and when it expires; None: there are too many."""
        now = self._clock.now_ms()
        self._given = {digest: each for digest, each in self._given.items() if each.expires_at > now}
        if len(self._given) >= MOST_LOGINS:
            return None
        token = LOGIN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        self._told("gateway login", token)
        given = GivenToken(
            digest=_digest(token),
            caller=caller.name,
            scopes=caller.scopes,
            everywhere=caller.everywhere,
            created_at=now,
            expires_at=now + seconds * 1000,
        )
        self._given[given.digest] = given  # counted while it is written
        await self._logins.give(given)
        return token, given.expires_at

    def _of_login(self, token: str) -> Credential | None:
        # By its digest, so that how long it takes says nothing about any token.
        given = self._given.get(_digest(token))
        if given is None or given.expires_at <= self._clock.now_ms():
            return None
        return Credential(Caller(name=given.caller, scopes=given.scopes, everywhere=given.everywhere), is_of_file=False)

    def _by_file(self) -> Mapping[str, Caller]:
        settings = self._settings()
        callers = settings.gateway.callers
        return {caller_file(name): configured(name, said, settings) for name, said in callers.items()}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
