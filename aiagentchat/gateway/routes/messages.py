"""Sending, and reading."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from aiagentchat.core.exchange import Caller, Wanted
from aiagentchat.core.exchange import Scope as Right
from aiagentchat.core.ids import InstanceName, MessageId, RoomId, UserId
from aiagentchat.core.meta import LATEST, MetaKind
from aiagentchat.gateway.front import Asking, Front, Key, caller_now, outgoing, room_of
from aiagentchat.gateway.models import (
    MOST_PAGE,
    Ask,
    InstanceWanted,
    MessageName,
    MessageView,
    Moment,
    PageView,
    RoomWanted,
    Who,
    message_view,
    page_view,
    who_view,
)
from aiagentchat.gateway.models import Send as Said

MOST_ROOMS = 100
"""Rooms that one request names."""
STREAM = "text/event-stream"

Place = Annotated[int, Field(ge=0, le=LATEST)]
_STREAMED = {"schema": {"type": "string"}, "example": "id: 42\nevent: message\ndata: {…}\n\n"}
_Named = Annotated[list[RoomWanted], Field(max_length=MOST_ROOMS, description="Rooms; none: all that may be read.")]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore")

    room: RoomWanted
    limit: Annotated[int, Field(ge=1, le=MOST_PAGE)] = 50
    before: Annotated[int, Field(ge=-LATEST, le=LATEST, description="As the page before has it.")] | None = None


class _Search(BaseModel):
    model_config = ConfigDict(extra="ignore")

    room: _Named = []
    words: Annotated[str, Field(max_length=1000, description="Words that are in it, in any order.")] = ""
    sender: Annotated[str, Field(max_length=255)] | None = None
    kind: MetaKind | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Place | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PAGE)] = 50


class _Listen(BaseModel):
    model_config = ConfigDict(extra="ignore")

    room: _Named = []
    instance: InstanceWanted | None = None


def sending(front: Front) -> APIRouter:
    """Messages to somebody, and what becomes of them."""
    router, exchange = APIRouter(tags=["messages"]), front.exchange

    @router.post("/send", status_code=202)
    async def send(caller: Asking, body: Said, key: Key = None) -> MessageView:
        """Accept a message: it is in the ledger, and will be in the room, when this answers."""
        speaker = front.sessions.speaking(caller, body.instance)
        return message_view(await exchange.send(speaker, await outgoing(front, speaker, body), key=key))

    @router.post("/ask")
    async def ask(caller: Asking, body: Ask, key: Key = None) -> MessageView:
        """Send, and wait until it is answered, refused or expired, or for `seconds`: `state` tells."""
        speaker = front.sessions.speaking(caller, body.instance)
        wanted = await outgoing(front, speaker, body)
        return message_view(await exchange.ask(speaker, wanted, seconds=body.seconds, key=key))

    @router.get("/status/{message}")
    async def status(caller: Asking, message: Annotated[MessageName, Path()]) -> MessageView:
        """How far a message has come."""
        return message_view(await exchange.status(caller, MessageId(message)))

    return router


def reading(front: Front) -> APIRouter:
    """What is said in the rooms, and who is there."""
    router, exchange = APIRouter(tags=["reading"]), front.exchange

    @router.get("/read")
    async def read(caller: Asking, asked: Annotated[_Read, Query()]) -> PageView:
        """The last messages of a room."""
        room = await room_of(front, caller, asked.room)
        return page_view(await exchange.read(caller, room, limit=asked.limit, before=asked.before))

    @router.get("/history")
    async def history(caller: Asking, asked: Annotated[_Search, Query()]) -> PageView:
        """Messages that are looked for. Rooms that keep no history have none."""
        wanted = Wanted(
            rooms=frozenset(await _rooms(front, caller, asked.room)),
            words=asked.words,
            sender=None if asked.sender is None else UserId(asked.sender),
            kind=asked.kind,
            since=asked.since,
            until=asked.until,
            before=asked.before,
            limit=asked.limit,
        )
        return page_view(await exchange.history(caller, wanted))

    @router.get("/who")
    async def who(caller: Asking) -> Who:
        """Who is in the registry, and whether each is there."""
        return who_view(await exchange.who(caller))

    return router


def listening(front: Front) -> APIRouter:
    """What is said, as it is said."""
    router = APIRouter(tags=["reading"])

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={200: {"description": "A stream.", "content": {STREAM: _STREAMED}}},
    )
    async def events(
        request: Request,
        caller: Asking,
        asked: Annotated[_Listen, Query()],
        last: Annotated[
            str | None,
            Header(alias="Last-Event-ID", pattern=r"^[0-9]{1,15}$", description="The last event that is known."),
        ] = None,
    ) -> StreamingResponse:
        """What is said, edited or deleted in the rooms that may be read, from a place on, or from now on."""
        named = frozenset(await _rooms(front, caller, asked.room))

        async def readable() -> Collection[RoomId] | None:
            now = caller_now(request)
            if now is None or now.name != caller.name:
                return None
            rooms = frozenset(await _rooms(front, now, []))
            return named & rooms if asked.room else rooms

        session = None if asked.instance is None else InstanceName(asked.instance)
        parts = front.streams.parts(readable, None if last is None else int(last))
        return _Stream(parts, front.sessions.held(caller, session, sorted(named) if asked.room else ()))

    return router


class _Stream(StreamingResponse):
    """A stream, and a session for as long as it is open."""

    def __init__(self, parts: AsyncIterator[bytes], session: AbstractContextManager[None]) -> None:
        super().__init__(parts, media_type=STREAM)
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an app."""
        with self._session:
            await super().__call__(scope, receive, send)


async def _rooms(front: Front, caller: Caller, refs: list[str]) -> list[RoomId]:
    """Those that are named, or all that may be read. Raises `ExchangeRefused`."""
    if refs:
        return [await room_of(front, caller, ref) for ref in refs]
    return [view.room for view in await front.exchange.rooms(caller) if Right.READ in view.scopes]
