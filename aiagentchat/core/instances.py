"""Who is there: one entry for each instance in the state of the registry room. Pure.

docs/reference/registry.md is its specification. An entry counts only where its state key carries its sender, and only
the homeserver's clock says how old it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.meta import Address, address, is_instance_name

INSTANCE = "com.aiagentchat.instance"
"""The type of its state event."""
VERSION = 1
"""Of the content: an entry of another one is none to us."""
HEARTBEAT_SECONDS = 60
TTL_SECONDS = 120
DELAY_SECONDS = 110
"""After so long without a sign of life the homeserver says `offline` by itself: a little less than the TTL, because it
takes a moment until everybody has heard it."""
MOST_INSTANCES = 1000
MOST_SESSIONS = 50
"""So many sessions may speak through one daemon."""
MOST_ROOMS = 50
"""Of one entry; as the next two. What is more is left out."""
MOST_SKILLS = 20
MOST_TEXT = 64
"""Characters of a host, a skill, a version."""

_MOST_ROOM = 255
_LIFE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ODD = re.compile(r"[^a-z0-9._-]+", re.ASCII)
_ONLINE = "online"
OFFLINE = "offline"
_STATUSES = frozenset({_ONLINE, "busy", OFFLINE})


class InstanceKind(StrEnum):
    """What it is."""

    DAEMON = "daemon"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a sign of life is given, and when its lack means something; seconds."""

    heartbeat: float = HEARTBEAT_SECONDS
    ttl: float = TTL_SECONDS
    delay: float = DELAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One entry of the registry."""

    user: UserId
    """Who has sent the entry."""
    name: InstanceName
    kind: InstanceKind
    host: str
    rooms: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    status: str = _ONLINE
    """`online`, `busy` or `offline`, as it says itself."""
    version: str = ""
    seen_at: int = 0
    """When its last sign of life was sent, in milliseconds by the homeserver's clock."""
    timed: bool = True
    """Whether its silence says that it is gone: not for one whose end the homeserver tells by itself (MSC4140)."""
    via: InstanceName | None = None
    """Of a session: the daemon of the same account that it speaks through. It is there no longer than that."""
    life: str = ""
    """Changes with every start of a daemon; of a session, that of the life in which it came."""

    @property
    def address(self) -> Address:
        """Where it is spoken to."""
        return Address(self.user, self.name)


def is_alive(instance: Instance, now: int, ttl: float = TTL_SECONDS) -> bool:
    """Whether it is there by its own entry alone, at `now` by the homeserver's clock; `ttl` in seconds."""
    if instance.status == OFFLINE:
        return False
    return not instance.timed or now - instance.seen_at <= ttl * 1000


def is_there(instance: Instance, via: Instance | None, now: int, ttl: float = TTL_SECONDS) -> bool:
    """Whether it is there, where `via` is the entry of the daemon that it names.

    A daemon that was killed takes back no session; so a session counts only while the same life of its daemon goes on.
    """
    if instance.via is None:
        return is_alive(instance, now, ttl)
    if via is None or instance.status == OFFLINE:
        return False
    is_same_life = via.kind is InstanceKind.DAEMON and bool(via.life) and via.life == instance.life
    return is_same_life and is_alive(via, now, ttl)


def state_key(user: UserId, name: InstanceName) -> str:
    """Where the entry stands. It begins with `_`, so that rooms of every version let an account have several."""
    return f"_{user}/{name}"


def place(key: object) -> Address | None:
    """Whose entry stands at a state key; None where no entry can stand."""
    if not isinstance(key, str) or not key.startswith("_"):
        return None
    found = address(key[1:])
    return found if found is not None and found.instance is not None else None


def instance_name(wish: str) -> InstanceName:
    """What an instance is called that would like to be called so: the name of a host, for example."""
    name = _ODD.sub("-", wish.lower()).strip("._-")[:64].strip("._-")
    return InstanceName(name) if is_instance_name(name) else InstanceName("daemon")


# ── in and out of the state ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of the registry room's state, as far as it is about instances."""

    key: str
    by: UserId
    entry: Instance | None = None
    why: str = ""
    """Why it is no entry, in a word; empty for one that was taken back, and one of another version."""

    @property
    def is_forged(self) -> bool:
        """Whether it stands where only somebody else may say something."""
        found = place(self.key)
        return found is None or found.user != self.by


Members: TypeAlias = Mapping[UserId, bool]
"""Who has come into a room, and who has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one sync tells of the registry room."""

    told: tuple[Told, ...] = ()
    """In order: what comes later stands."""
    moved: Members = field(default_factory=dict)
    has_gap: bool = False
    """Whether somebody may have come or gone without our hearing of it."""
    is_out: bool = False
    """Whether we are not in the room any more."""

    def __bool__(self) -> bool:
        return bool(self.told or self.moved or self.has_gap or self.is_out)


def read_told(key: str, by: UserId, content: object, sent_at: int) -> Told:
    """What a state event says. Never raises, whatever is in it."""
    told = Told(key=key, by=by)
    found = place(key)
    if found is None or found.instance is None:
        return Told(key=key, by=by, why="no_key_of_an_instance")
    if told.is_forged:
        return Told(key=key, by=by, why="not_its_sender")
    if not isinstance(content, Mapping):
        return Told(key=key, by=by, why="no_object")
    if content.get("version") != VERSION or isinstance(content["version"], bool):
        return told
    entry = _entry(found.user, found.instance, content, sent_at)
    return Told(key=key, by=by, entry=entry) if isinstance(entry, Instance) else Told(key=key, by=by, why=entry)


def _entry(user: UserId, name: InstanceName, said: Mapping[str, Any], sent_at: int) -> Instance | str:
    kind, status, timed = said.get("kind"), said.get("status"), said.get("timed", True)
    if not (isinstance(kind, str) and kind in set(InstanceKind)):
        return "kind"
    if not (isinstance(status, str) and status in _STATUSES):
        return "status"
    if not isinstance(timed, bool):
        return "timed"
    via, life = said.get("via"), said.get("life", "")
    if via is not None and not is_instance_name(via):
        return "via"
    return Instance(
        user=user,
        name=name,
        kind=InstanceKind(kind),
        host=_text(said.get("host")),
        rooms=_texts(said.get("rooms"), MOST_ROOMS, _MOST_ROOM),
        skills=_texts(said.get("skills"), MOST_SKILLS, MOST_TEXT),
        status=status,
        version=_text(said.get("software")),
        seen_at=sent_at,
        timed=timed,
        via=None if via is None else InstanceName(via),
        life=life if isinstance(life, str) and _LIFE.fullmatch(life) else "",
    )


def _text(value: object, most: int = MOST_TEXT) -> str:
    """A short line that can be shown; empty for anything else."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= most else ""


def _texts(value: object, most: int, most_of_one: int) -> tuple[str, ...]:
    found = [text for each in (value if isinstance(value, list) else [])[:most] if (text := _text(each, most_of_one))]
    return tuple(dict.fromkeys(found))


def written(entry: Instance, *, beat: int | None = None) -> dict[str, Any]:
    """The content of its state event. What says nothing is left out.

    `beat` makes one event differ from the one before: a homeserver takes the same state only once, and an entry whose
    event does not change grows old.
    """
    said: dict[str, Any] = {
        "version": VERSION,
        "kind": entry.kind.value,
        "status": entry.status,
        "host": _text(entry.host),
        "rooms": list(entry.rooms[:MOST_ROOMS]),
        "skills": list(entry.skills[:MOST_SKILLS]),
        "software": _text(entry.version),
        "timed": None if entry.timed else False,
        "via": entry.via,
        "life": entry.life,
        "beat": beat,
    }
    return {key: value for key, value in said.items() if value not in (None, "", [])}


TAKEN_BACK: Mapping[str, Any] = {}
"""The content where an entry was, and is none any more: state is never deleted."""
Entries = Mapping[tuple[UserId, InstanceName], Instance]
