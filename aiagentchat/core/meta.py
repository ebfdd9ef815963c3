"""What agents say about their messages: `com.aiagentchat.meta` in the content of an event, and what people type in
its place. Pure.

docs/reference/protocol.md is its specification. A reader takes nothing on trust: who has sent a message is the sender
of its event, and the instance is one that this sender has registered; whatever is not of the right shape is no meta.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from aiagentchat.core.ids import InstanceName, MessageId, TaskId, UserId

META_KEY = "com.aiagentchat.meta"
VERSION = 1
MOST_HOPS = 16
"""No message goes on for longer, whatever a room allows."""
MOST_BUDGET = 1000
LATEST = 2**53 - 1
"""The largest integer of canonical JSON."""
MOST_USER = 255
"""Bytes of an account's name (Matrix specification, "Common identifier format")."""
MOST_NAME = 64
AFTERWORD = 1_000_000
"""The number of the part that ends an answer which nobody could end as it was meant: of what was said before, the one
who says so may not know how many parts it had."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ADDRESS = re.compile(r"(@[^\s:]+:[^\s/]+)(?:/(\S*))?")
"""A slash may stand in an account's name, but not in that of its server."""
_WRONG = "wrong"
"""Under this a ledger keeps what is no meta, and why."""


class MetaKind(StrEnum):
    """What a message is for."""

    MESSAGE = "message"
    """Text for whom it is addressed to."""
    TASK = "task"
    """Work: begins a thread."""
    QUESTION = "question"
    STATUS = "status"
    """News of a task."""
    ANSWER = "answer"
    """What came of a message, a question or a task. Never answered."""
    REFUSED = "refused"
    """It will not be answered: the body says why."""
    EXPIRED = "expired"
    """It was not begun in time."""


class Step(StrEnum):
    """What has become of a task, in a message about it."""

    ACCEPTED = "accepted"
    PROGRESS = "progress"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


PREFIXED = (MetaKind.TASK, MetaKind.QUESTION, MetaKind.STATUS, MetaKind.ANSWER)
"""Those that a message says at its beginning, too: for people, and by people."""
_PREFIX = re.compile(rf"\s*\[({'|'.join(PREFIXED)})\](?:\s+|:\s*|\Z)", re.IGNORECASE | re.ASCII)

STARTS = frozenset({MetaKind.MESSAGE, MetaKind.TASK, MetaKind.QUESTION})
"""Those that may begin a turn, where they are addressed to somebody."""


@dataclass(frozen=True, slots=True)
class Address:
    """Whom a message is for: an account, and one of its instances; without one, whichever listens in the room."""

    user: UserId
    instance: InstanceName | None = None

    def __str__(self) -> str:
        return self.user if self.instance is None else f"{self.user}/{self.instance}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What a message says about itself."""

    id: MessageId
    kind: MetaKind = MetaKind.MESSAGE
    instance: InstanceName | None = None
    """Which instance of the event's sender says it."""
    to: Address | None = None
    """None: nobody in particular; such a message begins nothing."""
    in_reply_to: MessageId | None = None
    task: TaskId | None = None
    step: Step | None = None
    """Of a task: what has become of it."""
    hop: int = 0
    """How many turns of agents lie between this message and the one that a person, or a program of theirs, has sent."""
    budget: int | None = None
    """How many turns may still follow from it; None: what the reader allows."""
    expires_at: int | None = None
    """Milliseconds since the epoch: what has not begun by then, by the clock of whoever reads it, is not begun."""
    part: int = 0
    """Of an answer that takes several messages: which one this is."""
    last: bool = True
    """Whether nothing of the answer comes after it."""

    def is_over(self, now: int) -> bool:
        """Whether it must not be begun any more, at `now` (milliseconds)."""
        return self.expires_at is not None and now > self.expires_at


@dataclass(frozen=True, slots=True)
class NoMeta:
    """Not a message of an agent that we can read."""

    why: str = ""
    """What is wrong with it; empty where there is none, or one of another version."""


Read: TypeAlias = Meta | NoMeta


def address(text: object) -> Address | None:
    """`@user:server` or `@user:server/instance`; None for anything else."""
    # Nothing that does not print: no half characters, which no ledger keeps, and no signs that turn a line around.
    if not isinstance(text, str) or len(text) > MOST_USER + 1 + MOST_NAME or not text.isprintable():
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None or len(found[1].encode()) > MOST_USER:
        return None
    user, instance = found.groups()
    if instance is not None and not is_instance_name(instance):
        return None
    return Address(UserId(user), None if instance is None else InstanceName(instance))


def is_instance_name(text: object) -> bool:
    """Whether an instance may be called so."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_message_id(text: object) -> bool:
    """Whether a message or a task may have this id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def has_meta(content: object) -> bool:
    """Whether the content claims to be a message of an agent, of whatever version and shape."""
    return isinstance(content, Mapping) and META_KEY in content


def read_meta(content: object) -> Read:
    """The meta of an event's content. Never raises."""
    said = content.get(META_KEY) if isinstance(content, Mapping) else None
    if not isinstance(said, Mapping):
        return NoMeta("it is no object" if has_meta(content) else "")
    version = said.get("version")
    if not _is_integer(version, 1, LATEST):
        return NoMeta("version is no positive integer")
    if version != VERSION:
        return NoMeta()
    return _read(said)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person has typed."""

    kind: MetaKind
    text: str
    """Without the prefix."""


def typed(body: str) -> Typed:
    """What a person means by a message: `[TASK] @bot: clean up` is a task for whom it is addressed to."""
    found = _PREFIX.match(body)
    return Typed(MetaKind.MESSAGE, body) if found is None else Typed(MetaKind(found[1].lower()), body[found.end() :])


def prefixed(kind: MetaKind, body: str) -> str:
    """The text of a message as people read it, who see no meta."""
    if kind not in PREFIXED or typed(body).kind is kind:
        return body
    return f"[{kind.upper()}] {body}"


def unprefixed(kind: MetaKind, body: str) -> str:
    """The text of a message whose meta says its kind, without what is in it for people."""
    said = typed(body)
    return said.text if said.kind is kind else body


def _read(said: Mapping[str, Any]) -> Read:
    wrong = next((key for key, is_right in _SHAPES.items() if key in said and not is_right(said[key])), None)
    if wrong is not None:
        return NoMeta(f"{wrong} has the wrong shape")
    if "id" not in said or "kind" not in said:
        return NoMeta("id or kind is missing")
    task, reply, step = said.get("task"), said.get("in_reply_to"), said.get("state")
    instance = said.get("instance")
    return Meta(
        id=MessageId(said["id"]),
        kind=MetaKind(said["kind"]),
        instance=None if instance is None else InstanceName(instance),
        to=address(said.get("to")),
        in_reply_to=None if reply is None else MessageId(reply),
        task=None if task is None else TaskId(task),
        step=None if step is None else Step(step),
        hop=said.get("hop", 0),
        budget=said.get("budget"),
        expires_at=said.get("expires_at"),
        part=said.get("part", 0),
        last=said.get("last", True),
    )


def answering(
    meta: Meta,
    asker: UserId,
    *,
    id: MessageId,  # noqa: A002 - as the field is called
    kind: MetaKind = MetaKind.ANSWER,
    instance: InstanceName | None = None,
    part: int = 0,
    last: bool = True,
) -> Meta:
    """What an answer to the message with this meta says about itself; `asker` is who has sent that."""
    return Meta(
        id=id,
        kind=kind,
        instance=instance,
        to=Address(asker, meta.instance),
        in_reply_to=meta.id,
        task=meta.task,
        hop=min(meta.hop + 1, LATEST),
        part=part,
        last=last,
    )


def kept(read: Read | None) -> str | None:
    """What a ledger keeps of it; `recalled` makes it what it was."""
    if read is None:
        return None
    return _json(written(read) if isinstance(read, Meta) else {_WRONG: read.why})


def recalled(text: str | None) -> Read | None:
    """What a ledger has kept."""
    if text is None:
        return None
    said = json.loads(text)
    return NoMeta(said[_WRONG]) if _WRONG in said else read_meta({META_KEY: said})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_integer(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_SHAPES: Mapping[str, Callable[[object], bool]] = {
    "id": is_message_id,
    "kind": lambda value: isinstance(value, str) and value in set(MetaKind),
    "instance": is_instance_name,
    "to": lambda value: address(value) is not None,
    "in_reply_to": is_message_id,
    "task": is_message_id,
    "state": lambda value: isinstance(value, str) and value in set(Step),
    "hop": lambda value: _is_integer(value, 0, LATEST),
    "budget": lambda value: _is_integer(value, 0, LATEST),
    "expires_at": lambda value: _is_integer(value, 0, LATEST),
    "part": lambda value: _is_integer(value, 0, LATEST),
    "last": lambda value: isinstance(value, bool),
}


def written(meta: Meta) -> dict[str, Any]:
    """The value of `com.aiagentchat.meta`. What says nothing is left out."""
    said: dict[str, Any] = {"version": VERSION, "id": meta.id, "kind": meta.kind.value}
    optional = {
        "instance": meta.instance,
        "to": None if meta.to is None else str(meta.to),
        "in_reply_to": meta.in_reply_to,
        "task": meta.task,
        "state": None if meta.step is None else meta.step.value,
        "hop": meta.hop or None,
        "budget": meta.budget,
        "expires_at": meta.expires_at,
        "part": meta.part or None,
        "last": None if meta.last else False,
    }
    return said | {key: value for key, value in optional.items() if value is not None}
