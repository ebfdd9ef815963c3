"""The tools by which agents speak with each other: each declared once, for whoever offers it.

A run finds them behind its gate, other sessions at the gateway. They know no wire, and no more of the daemon than the
Exchange: a caller gets by a tool what it would get in any other way. A run speaks in its own room; what it sends
elsewhere has a tool of its own, because a permission is given to a tool and not to its arguments.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, TypeAlias

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Outgoing, RoomView, Wanted
from aiagentchat.core.ids import EventId, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.meta import Address, MetaKind, Step, address
from aiagentchat.core.ports.exchange import Exchange
from aiagentchat.exchange import tool_words
from aiagentchat.exchange.tool_fields import Field, Fields, WrongArgumentError, schema_of, shown, take

ASK_SECONDS = 50
"""How long `ask` waits when it is not said (clients give up after 60 s over HTTP, unless they are told) …"""
MOST_ASK_SECONDS = 240
"""… and at most: whoever waits does nothing else."""
MOST_PAGE = 100
"""Messages that one call shows."""
MOST_TEXT = 32_000
MOST_MINUTES = 60 * 24 * 30
"""How far ahead a deadline may be."""
ELSEWHERE = "send_elsewhere"
"""The one tool of a run that is not allowed beforehand."""

_NOBODY = "`to` is missing: say whose work it is."

Given: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answers."""

    text: str
    failed: bool = False


PutFile: TypeAlias = Callable[[Caller, RoomId, Given], Awaitable[Told]]
"""Puts a file into a room; it gets the other arguments of `send_file` as they are."""


Approve: TypeAlias = Callable[[str, Given], Awaitable[None]]
"""Of a run: returns when it may use the tool so; raises WrongArgumentError if it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who calls, and whom the tools ask."""

    exchange: Exchange
    caller: Caller
    now_ms: Callable[[], int]
    put_file: PutFile | None = None
    thread: EventId | None = None
    """Of a run: where in its room it speaks."""
    approve: Approve | None = None


class Where(Enum):
    """What a tool does with a room."""

    NOWHERE = auto()
    READS = auto()
    WRITES = auto()
    ELSEWHERE = auto()
    """It writes into a room that is not the run's own; there for runs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool."""

    name: str
    about: str
    do: Callable[[Desk, Given], Awaitable[str]]
    """Raises ExchangeRefused, or WrongArgumentError."""
    where: Where = Where.NOWHERE
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audience:
    """To whom tools are offered."""

    is_run: bool = False
    """A run of ours, which is at home in a room."""
    reaches: bool = True
    """Whether there may be other rooms for it."""
    files: Fields = field(default_factory=dict)
    """How it names a file for `send_file`; empty: it has no such tool from here."""


# ── what they do ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _rooms(desk: Desk, _: Given) -> str:
    return tool_words.rooms(await desk.exchange.rooms(desk.caller), desk.caller.home)


async def _who(desk: Desk, _: Given) -> str:
    return tool_words.instances(await desk.exchange.who(desk.caller))


async def _send(desk: Desk, given: Given) -> str:
    room = await _room(desk, given)
    return tool_words.accepted(await desk.exchange.send(desk.caller, await _outgoing(desk, room, given)), room.name)


async def _ask(desk: Desk, given: Given) -> str:
    outgoing = await _outgoing(desk, await _room(desk, given), given)
    if outgoing.to is None:
        raise WrongArgumentError(_NOBODY)
    seconds = given.get("seconds", ASK_SECONDS)
    question = replace(outgoing, kind=MetaKind.QUESTION)
    return tool_words.asked(await desk.exchange.ask(desk.caller, question, seconds=float(seconds)), seconds)


async def _send_elsewhere(desk: Desk, given: Given) -> str:
    room = await _room(desk, given)
    if room.room == desk.caller.home:
        raise WrongArgumentError("That is your own room: use `send`, `ask` or `assign_task`.")
    to, kind = await _to(desk, given), given.get("kind", "message")
    if to is None and kind != "message":
        raise WrongArgumentError(_NOBODY)
    if desk.approve is not None:
        asked = {"room": room.name, "kind": kind, "to": None if to is None else str(to), "text": given["text"]}
        await desk.approve(ELSEWHERE, {name: said for name, said in asked.items() if said is not None})
    does = {"question": _ask, "task": _assign_task}.get(kind, _send)
    return await does(desk, given)


async def _read(desk: Desk, given: Given) -> str:
    room = await _room(desk, given)
    limit, before = given.get("limit", 20), given.get("before")
    found = await desk.exchange.read(desk.caller, room.room, limit=limit, before=before)
    return tool_words.page(found, {room.room: room.name}, await _registered(desk))


async def _history(desk: Desk, given: Given) -> str:
    known = await desk.exchange.rooms(desk.caller)
    if "room" in given:
        known = [_find(known, given["room"])]
    sender = given.get("sender")
    wanted = Wanted(
        rooms=frozenset(each.room for each in known),
        words=given.get("words", ""),
        sender=None if sender is None else UserId(sender),
        kind=MetaKind(given["kind"]) if "kind" in given else None,
        since=_time(given, "since"),
        until=_time(given, "until"),
        before=given.get("before"),
        limit=given.get("limit", 20),
    )
    found = await desk.exchange.history(desk.caller, wanted)
    return tool_words.page(found, _names(known), await _registered(desk))


async def _tasks(desk: Desk, given: Given) -> str:
    known = await desk.exchange.rooms(desk.caller)
    room = _find(known, given["room"]).room if "room" in given else None
    found = await desk.exchange.tasks(desk.caller, room, everything=given.get("all", False))
    return tool_words.tasks(found, _names(known))


async def _assign_task(desk: Desk, given: Given) -> str:
    room, to = await _room(desk, given), await _to(desk, given)
    if to is None:
        raise WrongArgumentError(_NOBODY)
    minutes = given.get("minutes")
    deadline = None if minutes is None else desk.now_ms() + minutes * 60_000
    task = await desk.exchange.assign_task(desk.caller, room.room, to, given["text"], deadline=deadline)
    return tool_words.task(task, {room.room: room.name})


async def _update_task(desk: Desk, given: Given) -> str:
    room, step = await _room(desk, given), Step(given["state"])
    task = TaskId(given["task"])
    changed = await desk.exchange.update_task(desk.caller, room.room, task, step, given.get("note", ""))
    return tool_words.task(changed, {room.room: room.name})


async def _send_file(desk: Desk, given: Given) -> str:
    if desk.put_file is None:
        raise WrongArgumentError("Files cannot be sent from here.")
    room = await _room(desk, given)
    told = await desk.put_file(desk.caller, room.room, {name: said for name, said in given.items() if name != "room"})
    if told.failed:
        raise WrongArgumentError(told.text)
    return told.text


# ── which they are ────────────────────────────────────────────────────────────────────────────────────────────────

_TO = Field(about="@user:server or @user:server/instance, as `who` lists them")
_TEXT = Field(about="What to say", required=True, most=MOST_TEXT)
_LIMIT = Field(about="How many, 20 if left out", type="integer", most=MOST_PAGE)
_BEFORE = Field(
    about="Only what is older: the number that the last answer gave", type="integer", least=-(2**53), most=2**53
)
_SECONDS = Field(about="How long to wait, 50 if left out", type="integer", most=MOST_ASK_SECONDS)
_MINUTES = Field(about="Deadline, in minutes from now", type="integer", most=MOST_MINUTES)
_REPLY = Field(about="The id of the message that this answers", only="session", most=64)
_KINDS = ("message", "question", "task")

TOOLS: Sequence[Tool] = (
    Tool(
        name="send",
        where=Where.WRITES,
        about="Say something in a room. With `to`, that agent begins to work on it. Does not wait.",
        fields={"text": _TEXT, "to": _TO, "in_reply_to": _REPLY},
        do=_send,
    ),
    Tool(
        name="ask",
        where=Where.WRITES,
        about="Ask another agent, and wait for its answer.",
        fields={"to": replace(_TO, required=True), "text": _TEXT, "seconds": _SECONDS},
        do=_ask,
    ),
    Tool(
        name="read",
        where=Where.READS,
        about="The last messages of a room.",
        fields={"limit": _LIMIT, "before": _BEFORE},
        do=_read,
    ),
    Tool(
        name="history",
        where=Where.READS,
        about="Look for messages: by words, sender, kind or time.",
        fields={
            "words": Field(about="Words that are in it, in any order"),
            "sender": Field(about="@user:server"),
            "kind": Field(about="Only messages of agents of this kind", choices=tuple(MetaKind)),
            "since": Field(about="2026-01-31 or 2026-01-31T08:00, in UTC", most=40),
            "until": Field(about="As since", most=40),
            "limit": _LIMIT,
            "before": _BEFORE,
        },
        do=_history,
    ),
    Tool(name="who", about="Which agents there are, their addresses and skills.", do=_who),
    Tool(name="rooms", about="Which rooms there are for you, and what you may do there.", do=_rooms),
    Tool(
        name="tasks",
        where=Where.READS,
        about="Tasks that agents have given each other, and how far they are.",
        fields={"all": Field(about="Also those that are over", type="boolean")},
        do=_tasks,
    ),
    Tool(
        name="assign_task",
        where=Where.WRITES,
        about="Give work to another agent. It becomes a thread in the room. Does not wait.",
        fields={"to": replace(_TO, required=True), "text": _TEXT, "minutes": _MINUTES},
        do=_assign_task,
    ),
    Tool(
        name="update_task",
        where=Where.WRITES,
        about="Say what has become of a task that you have given (cancelled) or work on.",
        fields={
            "task": Field(about="Its id, as `tasks` lists it", required=True, most=64),
            "state": Field(about="What it is now", required=True, choices=tuple(Step)),
            "note": Field(about="News of it, in a sentence", most=MOST_TEXT),
        },
        do=_update_task,
    ),
    Tool(
        name="send_file",
        where=Where.WRITES,
        about="Put a file into a room.",
        do=_send_file,
    ),
    Tool(
        name=ELSEWHERE,
        where=Where.ELSEWHERE,
        about="Say, ask or assign something in another room than yours. Somebody must approve it.",
        fields={
            "text": _TEXT,
            "to": _TO,
            "kind": Field(about="message if left out", choices=_KINDS),
            "seconds": replace(_SECONDS, about="For a question: how long to wait"),
            "minutes": replace(_MINUTES, about="For a task: its deadline, in minutes"),
        },
        do=_send_elsewhere,
    ),
)


def fields_of(tool: Tool, audience: Audience) -> Fields:
    """What the tool takes from such a caller."""
    wanted = {"run"} if audience.is_run else {"session"}
    fields = {name: each for name, each in tool.fields.items() if not each.only or each.only in wanted}
    if tool.name == "send_file":
        fields |= audience.files
    if tool.where is Where.ELSEWHERE:
        return {"room": Field(about="Its name, as `rooms` lists it", required=True), **fields}
    if audience.is_run:
        is_reached = tool.where is Where.READS and audience.reaches
        return fields | ({"room": Field(about="Another room than yours, as `rooms` lists it")} if is_reached else {})
    if tool.where is Where.NOWHERE:
        return fields
    return fields | {"room": Field(about="Its name or id; needed where there are several")}


def offered(audience: Audience) -> Mapping[str, Tool]:
    """The tools for such a caller, by their names."""
    return {tool.name: tool for tool in TOOLS if _is_for(tool, audience)}


def _is_for(tool: Tool, audience: Audience) -> bool:
    if tool.where is Where.ELSEWHERE:
        return audience.is_run and audience.reaches
    return tool.name != "send_file" or bool(audience.files)


def listed(audience: Audience) -> list[dict[str, Any]]:
    """As the protocol lists them."""
    return [
        {"name": tool.name, "description": tool.about, "inputSchema": schema_of(fields_of(tool, audience))}
        for tool in offered(audience).values()
    ]


async def call(desk: Desk, audience: Audience, name: str, given: object) -> Told:
    """Use a tool. Never raises for what was given, or refused."""
    tool = offered(audience).get(name)
    if tool is None:
        return Told(f"There is no tool `{shown(name)}`.", failed=True)
    try:
        return Told(await tool.do(desk, take(fields_of(tool, audience), given)))
    except WrongArgumentError as error:
        return Told(f"Nothing was done. {error}", failed=True)
    except ExchangeRefused as error:
        return Told(f"Refused ({error.code}). {error}", failed=True)


# ── within ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _registered(desk: Desk) -> frozenset[Address]:
    """The instances whose names are more than what somebody says of himself."""
    return frozenset(each.address for each, _ in await desk.exchange.who(desk.caller))


def _names(known: Sequence[RoomView]) -> dict[RoomId, str]:
    return {each.room: each.name for each in known}


def _find(known: Sequence[RoomView], wanted: str) -> RoomView:
    by_id = [each for each in known if each.room == wanted]
    found = by_id or [each for each in known if each.name.casefold() == wanted.strip().casefold()]
    if len(found) > 1:
        raise WrongArgumentError(tool_words.several(wanted))
    if not found:
        raise WrongArgumentError(tool_words.no_room(wanted, known))
    return found[0]


async def _room(desk: Desk, given: Given) -> RoomView:
    """The one that is named; else the caller's own, or its only one."""
    known = await desk.exchange.rooms(desk.caller)
    wanted = given.get("room", desk.caller.home)
    if wanted is not None:
        return _find(known, wanted)
    if len(known) != 1:
        raise WrongArgumentError(tool_words.which_room(known))
    return known[0]


async def _outgoing(desk: Desk, room: RoomView, given: Given) -> Outgoing:
    reply = given.get("in_reply_to")
    return Outgoing(
        room=room.room,
        body=given["text"],
        kind=MetaKind.MESSAGE if reply is None else MetaKind.ANSWER,
        to=await _to(desk, given),
        in_reply_to=None if reply is None else MessageId(reply),
        thread=desk.thread if room.room == desk.caller.home else None,
    )


async def _to(desk: Desk, given: Given) -> Address | None:
    """Whom it is for. The bare name of an instance will do where only one is called so."""
    said = given.get("to")
    if said is None:
        return None
    found = address(said.strip())
    if found is not None:
        return found
    named = [each for each, _ in await desk.exchange.who(desk.caller) if each.name == said.strip()]
    if len(named) != 1:
        raise WrongArgumentError(
            f"`to` is no address: `{shown(said)}`. Write @user:server or @user:server/instance, as `who` lists them."
        )
    return Address(named[0].user, named[0].name)


def _time(given: Given, name: str) -> int | None:
    """Milliseconds."""
    if name not in given:
        return None
    try:
        said = datetime.fromisoformat(given[name].strip())
        return round((said if said.tzinfo is not None else said.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise WrongArgumentError(f"`{name}` is no time: write 2026-01-31, or 2026-01-31T08:00.") from None
