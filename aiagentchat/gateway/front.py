"""What the routes ask: the parts that the app wires together for them, and what several routes do alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Outgoing
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

MakeRoom = Callable[[RoomWish], Awaitable[RoomId]]
"""Raises `MatrixError`."""


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


async def room_of(exchange: Exchange, caller: Caller, ref: str) -> RoomId:
    """The room that the caller means. Raises `ExchangeRefused`."""
    views = await exchange.rooms(caller)
    found = [view.room for view in views if view.room == ref] or [view.room for view in views if view.name == ref]
    if len(found) != 1:
        raise ExchangeRefused("unknown", "There is no such room.")
    return found[0]


def whom(text: str) -> Address:
    """Whom a message is for. Raises `ExchangeRefused`."""
    found = address(text)
    if found is None:
        raise ExchangeRefused("invalid", "to: an account, @user:server, or one of its instances, @user:server/name.")
    return found


async def outgoing(exchange: Exchange, caller: Caller, said: Send) -> Outgoing:
    """The message that the caller wants to send. Raises `ExchangeRefused`."""
    return Outgoing(
        room=await room_of(exchange, caller, said.room),
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
