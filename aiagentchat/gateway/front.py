"""What the routes ask: the parts that the app wires together for them, and what several routes do alike."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from aiagentchat.core.errors import ExchangeRefused, MatrixError, Refused
from aiagentchat.core.exchange import Caller, Outgoing, RoomView
from aiagentchat.core.ids import EventId, MessageId, RoomId, TaskId
from aiagentchat.core.meta import Address, MetaKind, address
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.exchange import Exchange
from aiagentchat.core.rooms import RoomWish
from aiagentchat.exchange.tools import PutFile
from aiagentchat.gateway.callers import Callers
from aiagentchat.gateway.door import Traffic
from aiagentchat.gateway.feed import Sessions, Streams
from aiagentchat.gateway.models import Problem, Send
from aiagentchat.gateway.problems import MEDIA_TYPE, Refusal
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import Levels, Meters
from aiagentchat.render.hygiene import one_line, visible

MakeRoom = Callable[[RoomWish], Awaitable[RoomId]]
"""Raises `MatrixError`."""
ByAlias = Callable[[str], Awaitable[RoomId]]
"""Which room has an alias, whoever's it is. Raises `MatrixError`: `Refused` where none has it."""
ALIAS_SECONDS = 5.0
"""How long the homeserver may take to say that."""
MOST_NAMED = 20
"""Rooms that are named to whoever asked for one that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Everything behind the routes."""

    exchange: Exchange
    callers: Callers
    streams: Streams
    sessions: Sessions
    vitals: Callable[[], Awaitable[Vitals]]
    """All but the agents, which may take a moment."""
    agents: Callable[[], Awaitable[Mapping[str, bool]]]
    levels: Callable[[Vitals], Awaitable[Levels]]
    meters: Meters
    make_room: MakeRoom
    by_alias: ByAlias
    clock: Clock
    traffic: Traffic
    put_file: PutFile | None = None
    """Takes files that callers send by a tool; None: nobody does."""


def caller_of(request: Request) -> Caller:
    """Who asks. Raises `Refusal`."""
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise Refusal("unauthenticated", "This needs a token.")
    return caller


def caller_now(request: Request) -> Caller | None:
    """Who asks, as config.yaml, the tokens and the time have it by now; None: nobody any more."""
    found = request.state.still()
    return found if isinstance(found, Caller) else None


def _operator(request: Request) -> Caller:
    caller = caller_of(request)
    if not caller.is_operator:
        raise Refusal("not_allowed", "Only the operator may do this, at the operator's socket.")
    return caller


Asking = Annotated[Caller, Depends(caller_of)]
Operating = Annotated[Caller, Depends(_operator)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,128}$",
        description="The same key with the same request again does nothing, and answers as the first time.",
    ),
]


async def room_of(front: Front, caller: Caller, ref: str) -> RoomId:
    """The room that the caller means, by its id, its name or an alias. Raises `ExchangeRefused`."""
    views = await front.exchange.rooms(caller)
    found = _named(views, ref)
    if not found and views and ref.startswith("#") and ":" in ref:
        found = _named(views, await _with_alias(front, ref))
    if len(found) != 1:
        raise ExchangeRefused("unknown", _no_room(views))
    return found[0]


def _named(views: Sequence[RoomView], ref: str) -> list[RoomId]:
    """Those that are meant; a name in capital letters is meant only where none is written so."""
    named = [view.room for view in views if ref in (view.room, view.name)]
    return named or [view.room for view in views if view.name.casefold() == ref.strip().casefold()]


async def _with_alias(front: Front, alias: str) -> str:
    """The id of the room, whether it is one of ours or not; empty where there is none."""
    try:
        async with asyncio.timeout(ALIAS_SECONDS):
            return await front.by_alias(alias)
    except Refused:
        return ""
    except (MatrixError, TimeoutError) as error:
        why = "The homeserver does not say which room has this alias. Give the room's name or its id."
        raise ExchangeRefused("unavailable", why) from error


def _no_room(views: Sequence[RoomView]) -> str:
    """The same for a room that is not there, and for one of which the caller may not know."""
    yours = ", ".join(visible(one_line(view.name, 60)) for view in views[:MOST_NAMED])
    return f"There is no such room for you. There are: {yours or 'none'}."


def whom(text: str) -> Address:
    """Whom a message is for. Raises `ExchangeRefused`."""
    found = address(text)
    if found is None:
        raise ExchangeRefused("invalid", "to: an account, @user:server, or one of its instances, @user:server/name.")
    return found


async def outgoing(front: Front, caller: Caller, said: Send) -> Outgoing:
    """The message that the caller wants to send. Raises `ExchangeRefused`."""
    return Outgoing(
        room=await room_of(front, caller, said.room),
        body=said.body,
        kind=MetaKind(said.kind),
        to=None if said.to is None else whom(said.to),
        in_reply_to=None if said.in_reply_to is None else MessageId(said.in_reply_to),
        task=None if said.task is None else TaskId(said.task),
        thread=None if said.thread is None else EventId(said.thread),
        expires_at=said.expires_at,
        budget=said.budget,
    )


_REFUSED = {
    400: "The body is no JSON.",
    401: "No token that is good here.",
    403: "Not allowed, from a web page, or from another user.",
    404: "No such thing, as far as the caller may know.",
    405: "The route has no such method.",
    409: "A key that was used for something else, or a task that is over.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    421: "The Host is not this gateway.",
    422: "It makes no sense.",
    423: "Agents are halted in this room.",
    429: "A limit is reached.",
    500: "A fault of ours.",
    503: "Not now.",
    504: "It took too long.",
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in _REFUSED.items()
}
"""What every route may answer when it refuses."""
PROBLEM_SCHEMA = Problem.model_json_schema()
