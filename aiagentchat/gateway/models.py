"""What is said over HTTP, in JSON. Values of ours go in and out here and nowhere else."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiagentchat.core.exchange import MOST_BODY, Message, MessageState, Page, RoomView, Said, Scope
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import LATEST, MOST_BUDGET, MetaKind, Step, written
from aiagentchat.core.tasks import Ours, Task, TaskState

MOST_ASK_SECONDS = 600
"""How long `/ask` waits at most."""
MOST_PAGE = 200
"""Messages that one answer has."""
MOST_DAYS_OF_LOGIN = 30
DAY_SECONDS = 86_400

_ROOM = "!kitchen:example.org"
_EVENT = "$Xb7k2cPnH0mJ0vQe8d3sYw"
_MESSAGE = "m5f0c6c1c7d3b4b0e9a3d9a1d8a2c9f10"
_TASK = "t8c1f0a9be2d4"
_TO = "@agent:example.org/workshop"
_AT = 1_764_120_000_000

Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_BODY)]
RoomWanted = Annotated[str, Field(min_length=1, max_length=255, description="A room, by its name, id or alias.")]
Moment = Annotated[int, Field(ge=0, le=LATEST, description="Milliseconds since the epoch.")]
MessageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
EventName = Annotated[str, StringConstraints(pattern=r"^\$[^\s]{1,254}$")]
Whom = Annotated[
    str,
    Field(
        min_length=4,
        max_length=500,
        description="Whom it is for: an account, and one of its instances behind a slash.",
        examples=[_TO],
    ),
]
InstanceWanted = Annotated[
    str,
    Field(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$", description="As which session of `/events` it speaks."),
]


class Asked(BaseModel):
    """A body that comes in: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answered(BaseModel):
    """A body that goes out."""

    model_config = ConfigDict(frozen=True)


class Send(Asked):
    """A message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"room": "kitchen", "body": "Is the build green?", "kind": "question", "to": _TO}]
        }
    )

    room: RoomWanted
    body: Text
    kind: Annotated[
        Literal["message", "task", "question", "status", "answer"], Field(description="What it is for.")
    ] = "message"
    to: Whom | None = None
    in_reply_to: MessageName | None = None
    task: MessageName | None = None
    thread: Annotated[EventName, Field(description="The first event of the thread that it belongs into.")] | None = None
    expires_at: Moment | None = None
    budget: Annotated[int, Field(ge=0, le=MOST_BUDGET, description="How many turns may follow from it.")] | None = None
    instance: InstanceWanted | None = None


class Ask(Send):
    """A message, and how long to wait for its answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"room": "kitchen", "body": "Is the build green?", "kind": "question", "to": _TO, "seconds": 120}
            ]
        }
    )

    seconds: Annotated[int, Field(ge=0, le=MOST_ASK_SECONDS)] = 60


class MessageView(Answered):
    """A message that was accepted, and how far it has come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _MESSAGE,
                    "room": _ROOM,
                    "caller": "ci",
                    "kind": "question",
                    "to": _TO,
                    "instance": "workshop",
                    "in_reply_to": None,
                    "task": None,
                    "hop": 0,
                    "budget": None,
                    "body": "Is the build green?",
                    "state": "answered",
                    "why": "",
                    "event_id": _EVENT,
                    "answer": "It is.",
                    "answer_event_id": "$mJ0vQe8d3sYwXb7k2cPnH0",
                    "expires_at": None,
                    "accepted_at": _AT,
                    "sent_at": _AT + 40,
                    "delivered_at": _AT + 90,
                    "read_at": _AT + 200,
                    "ended_at": _AT + 5000,
                }
            ]
        }
    )

    id: str
    room: str
    caller: str
    kind: MetaKind
    to: str | None
    instance: str | None
    in_reply_to: str | None
    task: str | None
    hop: int
    budget: int | None
    body: str
    state: MessageState
    why: str
    event_id: str | None
    answer: str
    answer_event_id: str | None
    expires_at: int | None
    accepted_at: int
    sent_at: int | None
    delivered_at: int | None
    read_at: int | None
    ended_at: int | None


def message_view(message: Message) -> MessageView:
    """As callers read it."""
    meta = message.meta
    return MessageView(
        id=meta.id,
        room=message.room,
        caller=message.caller,
        kind=meta.kind,
        to=None if meta.to is None else str(meta.to),
        instance=meta.instance,
        in_reply_to=meta.in_reply_to,
        task=meta.task,
        hop=meta.hop,
        budget=meta.budget,
        body=message.body,
        state=message.state,
        why=message.why,
        event_id=message.event,
        answer=message.answer,
        answer_event_id=message.answer_event,
        expires_at=meta.expires_at,
        accepted_at=message.accepted_at,
        sent_at=message.sent_at,
        delivered_at=message.delivered_at,
        read_at=message.read_at,
        ended_at=message.ended_at,
    )


class SaidView(Answered):
    """A message of a room."""

    position: Annotated[int, Field(description="Its place in the history; 0 for what only the homeserver has.")]
    event_id: str
    room: str
    sender: str
    sent_at: int
    kind: Annotated[str, Field(description="`text`, `notice` or `file`.")]
    body: str
    thread: str | None
    reply_to: str | None
    meta: dict[str, Any] | None
    by_agent: bool
    edited_at: int | None


def said_view(said: Said) -> SaidView:
    """As callers read it."""
    return SaidView(
        position=said.position,
        event_id=said.event,
        room=said.room,
        sender=said.sender,
        sent_at=said.sent_at,
        kind=said.kind,
        body=said.body,
        thread=said.thread,
        reply_to=said.reply_to,
        meta=None if said.meta is None else written(said.meta),
        by_agent=said.by_agent,
        edited_at=said.edited_at,
    )


class PageView(Answered):
    """A part of what was said, the oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": [
                        {
                            "position": 41,
                            "event_id": _EVENT,
                            "room": _ROOM,
                            "sender": "@anna:example.org",
                            "sent_at": _AT,
                            "kind": "text",
                            "body": "Is the build green?",
                            "thread": None,
                            "reply_to": None,
                            "meta": None,
                            "by_agent": False,
                            "edited_at": None,
                        }
                    ],
                    "before": 41,
                }
            ]
        }
    )

    messages: list[SaidView]
    before: Annotated[int | None, Field(description="Ask with this for the page before; null: there is none.")]


def page_view(page: Page) -> PageView:
    """As callers read it."""
    return PageView(messages=[said_view(said) for said in page.messages], before=page.before)


class InstanceView(Answered):
    """Somebody in the registry."""

    user: str
    name: str
    address: Annotated[str, Field(description="What goes into `to`.")]
    kind: InstanceKind
    host: str
    rooms: list[str]
    skills: list[str]
    status: str
    version: str
    seen_at: int
    alive: Annotated[bool, Field(description="Whether it is there now.")]


class Who(Answered):
    """Everybody in the registry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "instances": [
                        {
                            "user": "@agent:example.org",
                            "name": "workshop",
                            "address": _TO,
                            "kind": "daemon",
                            "host": "workshop",
                            "rooms": [_ROOM],
                            "skills": ["python"],
                            "status": "online",
                            "version": "0.1.0",
                            "seen_at": _AT,
                            "alive": True,
                        }
                    ]
                }
            ]
        }
    )

    instances: list[InstanceView]


def who_view(entries: Sequence[tuple[Instance, bool]]) -> Who:
    """As callers read it."""
    return Who(
        instances=[
            InstanceView(
                user=entry.user,
                name=entry.name,
                address=f"{entry.user}/{entry.name}",
                kind=entry.kind,
                host=entry.host,
                rooms=list(entry.rooms),
                skills=list(entry.skills),
                status=entry.status,
                version=entry.version,
                seen_at=entry.seen_at,
                alive=alive,
            )
            for entry, alive in entries
        ]
    )


class RoomItem(Answered):
    """A room that the caller may know."""

    room_id: str
    name: str
    scopes: Annotated[list[Scope], Field(description="What the caller may do there.")]
    encrypted: bool
    halted: Annotated[str, Field(description="Why agents start nothing more there; empty: they may.")]


def room_item(view: RoomView) -> RoomItem:
    """As callers read it."""
    return RoomItem(
        room_id=view.room,
        name=view.name,
        scopes=sorted(view.scopes),
        encrypted=view.encrypted,
        halted=view.halted,
    )


class Rooms(Answered):
    """The rooms that the caller may know."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rooms": [
                        {
                            "room_id": _ROOM,
                            "name": "kitchen",
                            "scopes": ["read", "send"],
                            "encrypted": False,
                            "halted": "",
                        }
                    ]
                }
            ]
        }
    )

    rooms: list[RoomItem]


class NewTask(Asked):
    """Work for somebody."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"room": "kitchen", "to": _TO, "text": "Mend the tap.", "deadline": None}]}
    )

    room: RoomWanted
    to: Whom
    text: Text
    deadline: Moment | None = None
    instance: InstanceWanted | None = None


class TaskStep(Asked):
    """What has become of a task."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"room": "kitchen", "step": "progress", "note": "Half of it is done."}]}
    )

    room: RoomWanted
    step: Annotated[
        Literal["accepted", "progress", "done", "failed", "cancelled"], Field(description="What has happened.")
    ]
    note: Annotated[str, StringConstraints(max_length=MOST_BODY)] = ""
    instance: InstanceWanted | None = None

    @property
    def as_step(self) -> Step:
        """As the protocol has it."""
        return Step(self.step)


class TaskView(Answered):
    """A task."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _TASK,
                    "room": _ROOM,
                    "thread": _EVENT,
                    "title": "Mend the tap.",
                    "by": "@anna:example.org",
                    "to": _TO,
                    "ours": "taken",
                    "state": "working",
                    "note": "Half of it is done.",
                    "deadline": None,
                    "command": _EVENT,
                    "created_at": _AT,
                    "changed_at": _AT + 60_000,
                }
            ]
        }
    )

    id: str
    room: str
    thread: str | None
    title: str
    by: str
    to: str
    ours: Ours
    state: TaskState
    note: str
    deadline: int | None
    command: str | None
    created_at: int
    changed_at: int


def task_view(task: Task) -> TaskView:
    """As callers read it."""
    return TaskView(
        id=task.id,
        room=task.room,
        thread=task.thread,
        title=task.title,
        by=str(task.by),
        to=str(task.to),
        ours=task.ours,
        state=task.state,
        note=task.note,
        deadline=task.deadline,
        command=task.command,
        created_at=task.created_at,
        changed_at=task.changed_at,
    )


class Tasks(Answered):
    """Tasks, the newest first."""

    tasks: list[TaskView]


class Health(Answered):
    """Whether the daemon works, for whoever watches it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "healthy", "homeserver_connected": True, "uptime_seconds": 12345}]}
    )

    status: Annotated[
        Literal["healthy", "degraded"], Field(description="`degraded`: it lives, and something is missing.")
    ]
    homeserver_connected: Annotated[bool | None, Field(description="For callers with a token, as the next.")] = None
    uptime_seconds: int | None = None


class Ready(Answered):
    """A message that comes now would be answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ready": True}]})

    ready: Literal[True]


class Status(Answered):
    """How the daemon is, as far as the caller may know."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "user": "@agent:example.org",
                    "instance": "workshop",
                    "caller": "ci",
                    "status": "healthy",
                    "homeserver_connected": True,
                    "uptime_seconds": 12345,
                    "sync_age_seconds": 4,
                    "parcels_waiting": 0,
                    "rate_limited": False,
                    "commands": {"queued": 1, "running": 1},
                    "messages": {"sent": 2, "answered": 17},
                    "rooms": [
                        {"room_id": _ROOM, "name": "kitchen", "scopes": ["read"], "encrypted": False, "halted": ""}
                    ],
                }
            ]
        }
    )

    version: str
    user: str
    instance: str | None
    caller: str
    status: Literal["healthy", "degraded"]
    homeserver_connected: bool
    uptime_seconds: int
    sync_age_seconds: int | None
    parcels_waiting: int
    rate_limited: bool
    commands: dict[str, int]
    messages: dict[str, int]
    rooms: list[RoomItem]


class NewRoom(Asked):
    """A room to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Kitchen", "topic": "Taps", "is_public": False, "invite": ["@anna:example.org"]}]
        }
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    topic: Annotated[str, StringConstraints(max_length=1000)] = ""
    is_public: bool = False
    invite: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^@[^\s:/]{1,200}:[^\s/]{1,200}$")]], Field(max_length=50)
    ] = []


class Room(Answered):
    """A room that was made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"room_id": _ROOM}]})

    room_id: str


class SendText(Asked):
    """A message for people."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"room_id": _ROOM, "message": "Hello"}]})

    room_id: RoomWanted
    message: Text


class SentText(Answered):
    """What became of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": _EVENT, "id": _MESSAGE, "state": "sent"}]})

    event_id: Annotated[
        str | None,
        Field(description="null: it is accepted, and was not in the room a moment later: see `/status/{id}`."),
    ]
    id: str
    state: MessageState


class GetMessages(Asked):
    """Which messages of a room."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"room_id": _ROOM, "limit": 50}]})

    room_id: RoomWanted
    limit: Annotated[int, Field(ge=1, le=MOST_PAGE)] = 50
    before: Annotated[str, Field(pattern=r"^-?[0-9]{1,15}$", description="The `end` of the page before.")] | None = None


class Messages(Answered):
    """Messages of a room, the oldest first."""

    messages: list[SaidView]
    end: str | None


class Recent(Answered):
    """The last messages of all rooms together, the oldest first."""

    messages: list[SaidView]
    total_rooms: int


class Login(Asked):
    """Who wants a token."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "username": "ci",
                    "password": "what is in operator.token",
                    "rooms": ["kitchen"],
                    "may": ["read", "send"],
                    "seconds": 3600,
                }
            ]
        }
    )

    username: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="What the token's owner is called.")
    ]
    password: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="The operator's token, or that of the configured caller `username`. No password of Matrix.",
        ),
    ]
    rooms: Annotated[list[RoomWanted], Field(max_length=100)] | None = None
    may: Annotated[list[Literal["read", "send", "run"]], Field(max_length=3)] | None = None
    seconds: Annotated[int, Field(ge=60, le=MOST_DAYS_OF_LOGIN * DAY_SECONDS)] = DAY_SECONDS


class LoggedIn(Answered):
    """A token of the gateway: it is of no use to a homeserver."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": "gw_4p6n…",
                    "token_type": "Bearer",
                    "user_id": "@agent:example.org",
                    "device_id": "gateway",
                    "caller": "ci",
                    "expires_at": _AT,
                }
            ]
        }
    )

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    user_id: str
    device_id: Literal["gateway"] = "gateway"
    caller: str
    expires_at: int


class Problem(Answered):
    """Why something was refused (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:aiagentchat:problem:unknown",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such room.",
                    "code": "unknown",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="One of docs/reference/http.md: what a program looks at.")]


def examples() -> dict[str, list[Any]]:
    """Of every shape that has some, by its name."""
    shapes = [shape for base in (Asked, Answered) for shape in _below(base)]
    extras = {shape.__name__: shape.model_config.get("json_schema_extra") for shape in shapes}
    return {name: extra["examples"] for name, extra in extras.items() if isinstance(extra, dict)}  # type: ignore[misc]


def _below(shape: type[BaseModel]) -> list[type[BaseModel]]:
    return [each for below in shape.__subclasses__() for each in (below, *_below(below))]
