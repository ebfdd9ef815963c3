"""The homeserver as it is set up: who speaks with it, and what is found there. Looking changes nothing but that a login
comes and goes, on a device of its own that is always the same.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiagentchat.bootstrap.api import ADMIN, CLIENT, Api, path
from aiagentchat.bootstrap.passwords import Passwords
from aiagentchat.bootstrap.plan import (
    CHILD,
    ENCRYPTION,
    INVITE,
    JOIN,
    LEVELS,
    PARENT,
    Found,
    Limit,
    Means,
    Standing,
    There,
)
from aiagentchat.bootstrap.wanted import Place, Wanted, server_of
from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import LoginFailed, MatrixError, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId

DEVICE = "AIAGENTCHATSETUP"
"""So that a login that was not ended leads to one device at most."""
CREATE = "m.room.create"
_MEMBER = "m.room.member"
_UNRECOGNIZED = "M_UNRECOGNIZED"
_FORBIDDEN = "M_FORBIDDEN"
_NEWS = json.dumps({"room": {"timeline": {"limit": 0}, "state": {"types": []}}, "presence": {"types": []}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the operator has given to prove who he is."""

    shared_secret: Secret | None = None
    registration_token: Secret | None = None
    admin_token: Secret | None = None
    access_token: Secret | None = None
    """Of our account."""

    def means(self) -> Means:
        """What can be done with it."""
        makes_admins = self.shared_secret is not None or self.admin_token is not None
        return Means(
            makes_accounts=makes_admins or self.registration_token is not None,
            makes_admins=makes_admins,
            is_admin=self.admin_token is not None,
        )


@dataclass(slots=True)
class Site:
    """Made by `visit`."""

    api: Api
    wanted: Wanted
    given: Given
    passwords: Passwords
    tokens: dict[UserId, Secret] = field(default_factory=dict)
    """Of logins of ours, which end with the visit."""

    @property
    def token(self) -> Secret | None:
        """That of our account."""
        return self.given.access_token or self.tokens.get(self.wanted.me)

    async def log_in(self, user: UserId) -> bool:
        """Whether `user` is logged in now: he is there, and his password is known."""
        if user == self.wanted.me and self.given.access_token is not None:
            return await self._is_me(self.given.access_token)
        password = None if user in self.tokens else self.passwords.of(user)
        if password is None:
            return user in self.tokens
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password.reveal(),
            "device_id": DEVICE,
            "initial_device_display_name": "aiagentchat bootstrap",
        }
        try:
            answer = await self.api.ask("POST", f"{CLIENT}/login", body)
        except Refused as error:
            if error.errcode == _FORBIDDEN:
                return False
            raise
        self.tokens[user] = Secret(str(answer["access_token"]))
        return True

    async def log_out(self) -> None:
        """End every login. What does not end now is taken over by the next visit."""
        while self.tokens:
            _, token = self.tokens.popitem()
            try:
                await self.api.ask("POST", f"{CLIENT}/logout", {}, token=token)
            except MatrixError:
                continue

    async def admin_token(self) -> Secret | None:
        """That of an admin of the homeserver; None if there is none (yet)."""
        if self.given.admin_token is not None:
            return self.given.admin_token
        for account in self.wanted.accounts:
            if account.is_admin and await self.log_in(account.user):
                return self.tokens[account.user]
        return None

    async def state(self, room: RoomId) -> Sequence[Mapping[str, Any]]:
        """Every event of the state of a room that we are in."""
        answer = await self.api.ask("GET", f"{CLIENT}/rooms{path(room)}/state", token=self.token)
        return [event for event in answer if isinstance(event, dict)] if isinstance(answer, list) else []

    async def resolve(self, ref: str) -> RoomId | None:
        """The id of a room; None if the alias leads nowhere."""
        if not ref.startswith("#"):
            return RoomId(ref)
        try:
            answer = await self.api.find(f"{CLIENT}/directory/room{path(ref)}")
        except (Refused, Unreachable) as error:
            if error.errcode and ref.partition(":")[2] != server_of(self.wanted.me):
                return None  # another homeserver knows, and is not to be had
            raise
        return RoomId(str(answer["room_id"])) if answer else None

    async def look(self) -> There:
        """All that the plan needs. Raises as `Api.ask`."""
        await self.api.ask("GET", "/_matrix/client/versions")
        accounts = {account.user: await self._standing(account.user) for account in self.wanted.accounts}
        joined, invited = await self._memberships() if self.token and self._is_ours(accounts) else (set(), set())
        places: dict[str, Found] = {}
        for place in self.wanted.places:
            found = await self._place(place, joined, invited)
            places |= {} if found is None else {place.key: found}
        return There(
            accounts=accounts,
            known=frozenset(user for user in accounts if self.passwords.of(user) is not None),
            limit=await self._limit(),
            places=places,
        )

    def _is_ours(self, accounts: Mapping[UserId, Standing]) -> bool:
        return accounts[self.wanted.me] is Standing.OURS

    async def _standing(self, user: UserId) -> Standing:
        # Of others it is enough to know whether they are there: each login is one of theirs.
        if user == self.wanted.me and await self.log_in(user):
            return Standing.OURS
        try:
            found = await self.api.find(f"{CLIENT}/profile{path(user)}", token=self.tokens.get(self.wanted.me))
        except (Refused, LoginFailed):  # profiles are closed here; making it shows whether it is there
            return Standing.NONE
        return Standing.NONE if found is None else Standing.TAKEN

    async def _is_me(self, token: Secret) -> bool:
        answer = await self.api.ask("GET", f"{CLIENT}/account/whoami", token=token)
        if answer.get("user_id") != self.wanted.me:
            raise LoginFailed(f"MATRIX_ACCESS_TOKEN is that of {answer.get('user_id')}, not of {self.wanted.me}")
        return True

    async def _limit(self) -> Limit:
        admin = await self.admin_token()
        if admin is None:
            return Limit.NOT_TOLD
        try:
            answer = await self.api.ask("GET", limit_of(self.wanted.me), token=admin)
        except Refused as error:
            if error.errcode == _UNRECOGNIZED:
                return Limit.NOT_OFFERED
            if error.errcode == _FORBIDDEN:
                raise LoginFailed("the token that was given as an admin's is not one of the homeserver") from error
            return Limit.LIMITED  # there is no such account yet
        lifted = answer.get("messages_per_second") == 0 and answer.get("burst_count") == 0
        return Limit.LIFTED if lifted else Limit.LIMITED

    async def _memberships(self) -> tuple[set[str], set[str]]:
        joined = await self.api.ask("GET", f"{CLIENT}/joined_rooms", token=self.token)
        news = await self.api.ask("GET", f"{CLIENT}/sync?timeout=0&filter={quote(_NEWS, safe='')}", token=self.token)
        return set(joined["joined_rooms"]), set((news.get("rooms") or {}).get("invite") or {})

    async def _place(self, place: Place, joined: set[str], invited: set[str]) -> Found | None:
        room = await self.resolve(place.ref)
        if room is None:
            return None
        if room not in joined:
            return Found(id=room, membership=INVITE if room in invited else "")
        return found(room, await self.state(room))


def found(room: RoomId, state: Sequence[Mapping[str, Any]]) -> Found:
    """A room that we are in, by its state."""
    contents = {(event.get("type"), event.get("state_key")): _mapping(event.get("content")) for event in state}
    return Found(
        id=room,
        membership=JOIN,
        create=next((event for event in state if event.get("type") == CREATE), {}),
        levels=contents.get((LEVELS, "")),
        members={
            UserId(str(key)): str(content.get("membership"))
            for (type_, key), content in contents.items()
            if type_ == _MEMBER
        },
        encrypted=(ENCRYPTION, "") in contents,
        children=_linked(contents, CHILD),
        parents=_linked(contents, PARENT),
    )


def limit_of(user: UserId) -> str:
    """Where an admin sees, and sets, what an account may send."""
    return f"{ADMIN}/v1/users{path(user)}/override_ratelimit"


@asynccontextmanager
async def visit(api: Api, wanted: Wanted, given: Given, passwords: Passwords) -> AsyncGenerator[Site, None]:
    """The homeserver, until the block ends."""
    site = Site(api, wanted, given, passwords)
    try:
        yield site
    finally:
        await site.log_out()


def _linked(contents: Mapping[tuple[Any, Any], Mapping[str, Any]], type_: str) -> frozenset[RoomId]:
    """A link without servers counts as none, as the specification has it."""
    return frozenset(
        RoomId(str(key)) for (each, key), content in contents.items() if each == type_ and content.get("via")
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
