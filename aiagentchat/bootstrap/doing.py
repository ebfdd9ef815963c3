"""One step at a time, each one request or one file, and what it needs is known from what was found."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from aiagentchat.bootstrap.api import ADMIN, CLIENT, WantsMore, path
from aiagentchat.bootstrap.plan import (
    CHILD,
    ENCRYPTION,
    INVITE,
    JOIN,
    LEVELS,
    PARENT,
    Act,
    Encrypt,
    Invite,
    JoinRoom,
    KeepPassword,
    LiftLimit,
    Link,
    MakeAccount,
    MakeRoom,
    SetPower,
    There,
    WriteId,
    levels_wanted,
)
from aiagentchat.bootstrap.site import Site, found, limit_of
from aiagentchat.bootstrap.wanted import Kind, Place, local_part, server_of
from aiagentchat.config.document import parse, read_text
from aiagentchat.config.edit import add_room, name_room, put, save
from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import ConfigError, LoginFailed, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId

_IN_USE = "M_USER_IN_USE"
_HMAC = "HMAC"
"""What Synapse says of a shared secret that is not its own has this word in it, and no code of its own."""
_NOT_ITS_OWN = (
    "the shared secret is not this homeserver's; it is in its homeserver.yaml as registration_shared_secret, or in the "
    "file that is named there"
)
_ALIAS_IN_USE = "M_ROOM_IN_USE"
_MOST_STAGES = 4
_TOKEN_STAGE, _DUMMY_STAGE = "m.login.registration_token", "m.login.dummy"
_GUESTS = {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "forbidden"}}
_MEGOLM = {"algorithm": "m.megolm.v1.aes-sha2"}


@dataclass(slots=True)
class Hands:
    """Does what the plan says."""

    site: Site
    config: Path
    ids: dict[str, RoomId] = field(default_factory=dict)
    """Of the places, as far as they are there."""

    def know(self, there: There) -> None:
        """What was found."""
        self.ids |= {key: place.id for key, place in there.places.items()}

    async def do(self, act: Act) -> None:
        """Do it. Raises Refused if only this is impossible, anything else if it is of no use to go on."""
        match act:
            case KeepPassword(user):
                self.site.passwords.keep(user)
            case MakeAccount(user, is_admin):
                await self._make_account(user, is_admin=is_admin)
            case LiftLimit():
                await self._lift_limit()
            case MakeRoom(place):
                await self._make_room(place)
            case JoinRoom(place):
                await self._ask("POST", f"/rooms{path(self._id(place))}/join", {})
            case WriteId(place):
                self._write(place)
            case Encrypt(place):
                await self._put_state(place, ENCRYPTION, "", _MEGOLM)
            case SetPower(place):
                await self._set_power(place)
            case Link(of, with_):
                await self._link(of, with_)
            case Invite(place, user):
                await self._invite(self._id(place), user)
            case _:
                assert_never(act)

    async def _make_account(self, user: UserId, *, is_admin: bool) -> None:
        password = self.site.passwords.of(user)
        assert password is not None, "it is written down first"
        given = self.site.given
        try:
            if given.shared_secret is not None:
                await self._by_shared_secret(given.shared_secret, user, password, is_admin=is_admin)
            elif given.admin_token is not None:
                await self._by_admin(given.admin_token, user, password, is_admin=is_admin)
            elif given.registration_token is not None:
                await self._by_token(given.registration_token, user, password)
        except Refused as error:
            if error.errcode != _IN_USE or user == self.site.wanted.me:
                why = _NOT_ITS_OWN if _HMAC in str(error) else error
                raise LoginFailed(f"the account {user} was not made: {why}") from error
        if user == self.site.wanted.me and not await self.site.log_in(user):
            raise LoginFailed(f"the account {user} was made, and its password does not log it in")

    async def _by_shared_secret(self, secret: Secret, user: UserId, password: Secret, *, is_admin: bool) -> None:
        """Synapse: whoever holds the secret of its settings makes accounts."""
        nonce = str((await self.site.api.ask("GET", f"{ADMIN}/v1/register"))["nonce"])
        name = local_part(user)
        signed = "\0".join((nonce, name, password.reveal(), "admin" if is_admin else "notadmin"))
        mac = hmac.new(secret.reveal().encode(), signed.encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": password.reveal(), "admin": is_admin, "mac": mac}
        await self.site.api.ask("POST", f"{ADMIN}/v1/register", {**body, "inhibit_login": True})

    async def _by_admin(self, token: Secret, user: UserId, password: Secret, *, is_admin: bool) -> None:
        """Synapse: an admin makes accounts. The same request would change one that is there."""
        where = f"{ADMIN}/v2/users{path(user)}"
        if await self.site.api.find(where, token=token) is not None:
            raise Refused("there is such an account", errcode=_IN_USE)
        body = {"password": password.reveal(), "admin": is_admin, "logout_devices": False}
        await self.site.api.ask("PUT", where, body, token=token)

    async def _by_token(self, token: Secret, user: UserId, password: Secret) -> None:
        """Any homeserver that lets those in who have a token: its stages, one after the other."""
        body: dict[str, Any] = {
            "username": local_part(user),
            "password": password.reveal(),
            "inhibit_login": True,
        }
        for _ in range(_MOST_STAGES):
            try:
                await self.site.api.ask("POST", f"{CLIENT}/register", body)
            except WantsMore as more:
                body["auth"] = _next_stage(more.said, token)
            else:
                return
        raise Refused("the homeserver does not take the registration token")

    async def _lift_limit(self) -> None:
        admin = await self.site.admin_token()
        if admin is None:
            raise Refused("the admin of the homeserver cannot be logged in: his password is not known here")
        body = {"messages_per_second": 0, "burst_count": 0}
        await self.site.api.ask("POST", limit_of(self.site.wanted.me), body, token=admin)

    async def _make_room(self, place: Place) -> None:
        encryption = {"type": ENCRYPTION, "state_key": "", "content": _MEGOLM}
        body: dict[str, Any] = {
            "preset": "private_chat",
            "visibility": "private",
            "name": place.name,
            "room_alias_name": place.ref[1:].partition(":")[0],
            "initial_state": [_GUESTS, *([encryption] if place.encrypted else [])],
        }
        if place.kind is Kind.SPACE:
            body["creation_content"] = {"type": "m.space"}
        if self.site.wanted.room_version:
            body["room_version"] = self.site.wanted.room_version
        try:
            answer = await self._ask("POST", "/createRoom", body)
        except Refused as error:
            if error.errcode == _ALIAS_IN_USE:
                raise Refused(f"somebody has just made {place.ref}; do this again") from error
            raise
        self.ids[place.key] = RoomId(str(answer["room_id"]))

    async def _set_power(self, place: Place) -> None:
        is_ = found(self._id(place), await self.site.state(self._id(place)))
        levels = levels_wanted(place, is_.create, is_.levels)
        if levels != is_.levels:
            await self._put_state(place, LEVELS, "", levels)

    async def _link(self, of: Place, with_: Place) -> None:
        content: dict[str, Any] = {"via": [server_of(self.site.wanted.me)]}
        if of.kind is Kind.SPACE:
            await self._put_state(of, CHILD, self._id(with_), {**content, "suggested": True})
        else:
            await self._put_state(of, PARENT, self._id(with_), {**content, "canonical": True})

    async def _invite(self, room: RoomId, user: UserId) -> None:
        try:
            await self._ask("POST", f"/rooms{path(room)}/invite", {"user_id": user})
        except Refused:
            # Of a room that was joined only now it was not known who is in it.
            if found(room, await self.site.state(room)).members.get(user) not in (JOIN, INVITE):
                raise

    async def _put_state(self, place: Place, type_: str, key: str, content: Mapping[str, Any]) -> None:
        await self._ask("PUT", f"/rooms{path(self._id(place))}/state{path(type_)}/{path(key)[1:]}", content)

    def _write(self, place: Place) -> None:
        """Into config.yaml, as it is now."""
        text = read_text(self.config)
        if place.kind is Kind.REGISTRY:
            save(self.config, put(text, ("registry", "room"), place.ref))
            return
        room = self._id(place)
        if place.entry is None:
            save(self.config, add_room(text, {"id": room, "name": place.name}))
            return
        rooms = parse(text).data.get("rooms") or []
        if place.entry >= len(rooms) or rooms[place.entry].get("id") != place.in_config:
            raise ConfigError([f"{self.config}: it was changed meanwhile; do this again"])
        save(self.config, name_room(text, place.entry, room, place.name))

    def _id(self, place: Place) -> RoomId:
        if place.key not in self.ids:
            raise Refused(f"there is no {place.ref} yet")
        return self.ids[place.key]

    async def _ask(self, method: str, where: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.site.api.ask(method, f"{CLIENT}{where}", body, token=self.site.token)
        if not isinstance(answer, dict):
            raise Unreachable(f"{self.site.api.url} does not answer like a Matrix homeserver")
        return answer


def _next_stage(said: Mapping[str, Any], token: Secret) -> dict[str, Any]:
    """What is asked for next on a way that we can go. Raises Refused."""
    done = said.get("completed") or []
    if said.get("errcode"):
        raise Refused(f"{said.get('errcode')}: {said.get('error')}", errcode=str(said.get("errcode")))
    for flow in said.get("flows") or []:
        stages = flow.get("stages") or []
        left = [stage for stage in stages if stage not in done]
        if left and _TOKEN_STAGE in stages and set(left) <= {_TOKEN_STAGE, _DUMMY_STAGE}:
            proof = {"token": token.reveal()} if left[0] == _TOKEN_STAGE else {}
            return {"type": left[0], "session": said.get("session"), **proof}
    raise Refused("the homeserver wants more for an account than a registration token")
