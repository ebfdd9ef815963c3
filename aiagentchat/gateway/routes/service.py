"""The routes of a plain Matrix service: rooms, their messages, and the logins that give tokens of the gateway."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from aiagentchat.config.fields import RESERVED_CALLERS
from aiagentchat.core.errors import ExchangeRefused, MatrixError, RateLimited, Refused
from aiagentchat.core.exchange import EVERYTHING, OVER, Caller, Message, MessageState, Outgoing, Scope, Wanted
from aiagentchat.core.ids import CallerName, RoomId, UserId
from aiagentchat.core.rooms import RoomWish
from aiagentchat.gateway.callers import MOST_LOGINS, narrowed
from aiagentchat.gateway.front import Asking, Front, Key, Operating, room_of
from aiagentchat.gateway.models import (
    DAY_SECONDS,
    MOST_PAGE,
    GetMessages,
    LoggedIn,
    Login,
    Messages,
    NewRoom,
    Recent,
    Room,
    Rooms,
    SendText,
    SentText,
    room_item,
    said_view,
)
from aiagentchat.gateway.problems import Refusal

EVENT_SECONDS = 5.0
"""How long `/messages/send` waits for the event."""
LOOK_SECONDS = 0.05

_TALKING = frozenset({Scope.READ, Scope.SEND})


def rooms(front: Front) -> APIRouter:
    """Rooms."""
    router = APIRouter(tags=["service"])

    @router.get("/rooms/list")
    async def listed(caller: Asking) -> Rooms:
        """The rooms of the caller."""
        return Rooms(rooms=[room_item(view) for view in await front.exchange.rooms(caller)])

    @router.post("/rooms/create", status_code=201)
    async def create(operator: Operating, body: NewRoom) -> Room:  # noqa: ARG001 - nobody else may
        """Make a room. It is not one of this daemon's before config.yaml, or somebody there, says so."""
        wish = RoomWish(
            name=body.name, topic=body.topic, is_public=body.is_public, invite=[UserId(user) for user in body.invite]
        )
        try:
            return Room(room_id=await front.make_room(wish))
        except RateLimited as error:
            raise Refusal("full", "The homeserver wants us to wait.") from error
        except Refused as error:
            raise Refusal("invalid", f"The homeserver makes no such room ({error.errcode or 'no reason'}).") from error
        except MatrixError as error:
            raise Refusal("unavailable", "The homeserver does not answer.") from error

    return router


def messages(front: Front) -> APIRouter:
    """Their messages."""
    router, exchange = APIRouter(tags=["service"]), front.exchange

    @router.post("/messages/send", status_code=202)
    async def send(caller: Asking, body: SendText, key: Key = None) -> SentText:
        """Say something in a room, to nobody in particular. It begins nothing."""
        room = await room_of(front, caller, body.room_id)
        message = await exchange.send(caller, Outgoing(room=room, body=body.message), key=key)
        message = await _arrived(front, caller, message)
        return SentText(event_id=message.event, id=message.id, state=message.state)

    @router.post("/messages/get")
    async def get(caller: Asking, body: GetMessages) -> Messages:
        """The last messages of a room."""
        room = await room_of(front, caller, body.room_id)
        before = None if body.before is None else int(body.before)
        page = await exchange.read(caller, room, limit=body.limit, before=before)
        end = None if page.before is None else str(page.before)
        return Messages(messages=[said_view(said) for said in page.messages], end=end)

    @router.get("/messages/recent")
    async def recent(caller: Asking, limit: Annotated[int, Query(ge=1, le=MOST_PAGE)] = 10) -> Recent:
        """The last messages of all rooms together that keep a history."""
        readable = [view.room for view in await exchange.rooms(caller) if Scope.READ in view.scopes]
        page = await exchange.history(caller, Wanted(rooms=frozenset(readable), limit=limit))
        return Recent(messages=[said_view(said) for said in page.messages], total_rooms=len(readable))

    return router


async def _arrived(front: Front, caller: Caller, message: Message) -> Message:
    """The message once it is in the room, or a moment later."""
    until = front.clock.monotonic() + EVENT_SECONDS
    while message.state is MessageState.ACCEPTED and message.state not in OVER and front.clock.monotonic() < until:
        await front.clock.sleep(LOOK_SECONDS)
        message = await front.exchange.status(caller, message.id)
    return message


def logins(front: Front) -> APIRouter:
    """Tokens of the gateway that expire."""
    router = APIRouter(tags=["service"])

    @router.post("/login")
    async def login(request: Request, body: Login) -> LoggedIn:
        """A token that expires, for a password that is a token. At the operator's socket alone."""
        if not request.state.at_socket:
            raise Refusal("not_allowed", "Logins are at the operator's socket alone.")
        if body.username in RESERVED_CALLERS:
            raise Refusal("invalid", f"username: {body.username} is another token's name.")
        granted = _granted(front, body)
        may = _TALKING if body.may is None else frozenset(map(Scope, body.may))
        if body.may is None and front.callers.configured(body.username) is not None:
            may = EVERYTHING  # config.yaml has said what it may
        named = None if body.rooms is None else await _named(front, granted, body.rooms)
        return await _logged_in(front, narrowed(granted, named, may), body.seconds)

    @router.get("/login/auto")
    async def auto(operator: Operating) -> LoggedIn:  # noqa: ARG001 - nobody else may
        """A token for a day that reads and sends everywhere, and begins nothing."""
        return await _logged_in(front, Caller(name=CallerName("auto"), everywhere=_TALKING), DAY_SECONDS)

    return router


def _granted(front: Front, body: Login) -> Caller:
    """The most that the login may give. Raises `Refusal`."""
    found, configured = front.callers.find(body.password), front.callers.configured(body.username)
    if found is not None and found.caller.is_operator:
        if configured is not None and body.rooms is None and body.may is None:
            return configured
        return Caller(name=CallerName(body.username), everywhere=EVERYTHING)
    if found is not None and configured is not None and found.caller.name == configured.name and found.is_of_file:
        return configured
    raise Refusal("unauthenticated", "password: neither the operator's token nor that of the caller `username`.")


async def _named(front: Front, granted: Caller, refs: Sequence[str]) -> list[RoomId]:
    return [await room_of(front, granted, ref) for ref in refs]


async def _logged_in(front: Front, caller: Caller, seconds: int) -> LoggedIn:
    given = await front.callers.give(caller, seconds)
    if given is None:
        raise ExchangeRefused("full", f"There are {MOST_LOGINS} logins that have not expired.")
    token, expires_at = given
    user = (await front.vitals()).user
    return LoggedIn(access_token=token, user_id=user, caller=caller.name, expires_at=expires_at)
