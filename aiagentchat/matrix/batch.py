"""The answer of a sync → `SyncBatch`, room by room, so that nothing else waits long for it. Safe with any JSON."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.matrix import Gap, SyncBatch
from aiagentchat.matrix import instances
from aiagentchat.matrix.events import Reads, Step, came_in, invite, left, read, said_to_us
from aiagentchat.matrix.ownership import OWNER
from aiagentchat.matrix.reading import Answer, Breath, listed, mapped, tell_sealed
from aiagentchat.matrix.receipts import MOST_RECEIPTS, receipts

_MOVES = (Kind.JOINED, Kind.LEFT)


async def read_batch(answer: Answer, me: UserId, reads: Reads = read, *, registry: RoomId | None = None) -> SyncBatch:
    """What the homeserver told; `reads` knows what an event says. Raises `Unreachable` if it is no answer to a sync.

    `registry` is the room whose instances are told of.
    """
    token = answer.body.get("next_batch")
    if not isinstance(token, str):
        raise Unreachable("sync: an answer without a token")
    events: list[Incoming] = []
    gaps: list[Gap] = []
    breath = Breath()
    rooms = mapped(answer.body.get("rooms"))
    for name, room in mapped(rooms.get("join")).items():
        told, gap = await _timeline(RoomId(name), mapped(room), me, reads, breath)
        events += told
        gaps += gap
    for name, room in mapped(rooms.get("leave")).items():
        told, gap = await _timeline(RoomId(name), mapped(room), me, reads, breath)
        moves = [event.kind for event in told if event.kind in _MOVES]
        gone = [left(RoomId(name), _sources(room), me, token)] if moves[-1:] != [Kind.LEFT] else []
        events += [*told, *gone]
        gaps += gap
    for name, room in mapped(rooms.get("invite")).items():
        found = invite(RoomId(name), listed(mapped(mapped(room).get("invite_state")).get("events")), me, token)
        events += [found] if found is not None else []
    read_by_others = tuple(islice(receipts(mapped(rooms.get("join")), me), MOST_RECEIPTS))
    return SyncBatch(
        token=token,
        events=tuple(events),
        joined=frozenset(map(RoomId, mapped(rooms.get("join")))),
        gaps=tuple(gaps),
        now=answer.now,
        owner=_owner(answer.body),
        receipts=read_by_others,
        instances=await instances.heard(rooms, registry, breath),
        is_quiet=not read_by_others and _is_quiet(answer.body),
    )


def _is_quiet(body: Mapping[str, Any]) -> bool:
    """Whether nothing is told but receipts, and data of the account."""
    rooms, devices = mapped(body.get("rooms")), mapped(body.get("device_lists"))
    others = any(mapped(rooms.get(how)) for how in ("invite", "leave", "knock"))
    to_device = listed(mapped(body.get("to_device")).get("events"))
    if others or to_device or listed(devices.get("changed")) or listed(devices.get("left")):
        return False
    return not any(_has_news(mapped(room)) for room in mapped(rooms.get("join")).values())


def _has_news(room: Mapping[str, Any]) -> bool:
    return bool(
        _sources(room)
        or mapped(room.get("timeline")).get("limited") is True
        or listed(mapped(room.get("state")).get("events"))
    )


def encrypted(room: object) -> bool:
    """Whether a room of the answer tells that it is encrypted: that cannot be taken back, not even by a redaction."""
    state = listed(mapped(mapped(room).get("state")).get("events"))
    return any(_encrypts(mapped(source)) for source in (*state, *_sources(room)))


def _encrypts(source: Mapping[str, Any]) -> bool:
    """As state: a message of that type is nothing but a message, and anybody may send one."""
    return source.get("type") == "m.room.encryption" and source.get("state_key") == ""


async def _timeline(
    room: RoomId, told: Mapping[str, Any], me: UserId, reads: Reads, breath: Breath
) -> tuple[tuple[Incoming, ...], list[Gap]]:
    sources = _sources(told)
    steps: list[Step] = []
    for source in sources:
        steps.append(reads(room, source, me))
        await breath.take()
    tell_sealed(room, steps)
    timeline = mapped(told.get("timeline"))
    before = timeline.get("prev_batch")
    gaps = []
    if timeline.get("limited") is True and isinstance(before, str) and not came_in(steps):
        gaps = [Gap(room=room, before=before)]
    return said_to_us(steps), gaps


def _sources(room: object) -> list[object]:
    return listed(mapped(mapped(room).get("timeline")).get("events"))


def _owner(body: Mapping[str, Any]) -> str | None:
    for source in listed(mapped(body.get("account_data")).get("events")):
        match source:
            case {"type": type_, "content": {"installation": str(installation)}} if type_ == OWNER:
                return installation
            case _:
                continue
    return None
