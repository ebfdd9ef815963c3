"""Which events are worth writing down. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from aiagentchat.core.heard import Keeps
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta

LATE_MS = 60_000
"""What is older than this when it comes in is late. Less is the way from one machine to another."""

OF_OURS = (Kind.JOINED, Kind.LEFT, Kind.FORGED, Kind.CLOSED)
"""What our own account does in these events matters, whoever did it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What intake must know."""

    me: UserId
    is_configured: Callable[[RoomId], bool]
    """Or waits for it."""
    keeps: Keeps = lambda _room, _encrypted: False
    """Whether what is said there is kept to be found again."""


def keep(events: Iterable[Incoming], rules: Rules, *, first: bool) -> list[Incoming]:
    """The events that routing should see, in order.

    The first sync of an account ignores what was said before: only invites count. Our own events, and notices, which
    must never be answered automatically (Client-Server API, "m.notice"), are nothing to us: of those that speak to us
    all the same, the audit tells, and of what an agent addresses to us, whoever has asked for it; and news of tasks are
    heard, whosever they are. Invites come from
    rooms that nobody has configured, too; anything else from such a room is not ours to keep.
    """
    configured: dict[RoomId, bool] = {}

    def is_wanted(event: Incoming) -> bool:
        if event.kind is Kind.INVITE:
            return True
        if first or (event.sender == rules.me and event.kind not in OF_OURS):
            return False
        if event.kind is Kind.NOTICE and not (_speaks_to_us(event, rules.me) or _tells_of_a_task(event)):
            return False
        if event.room not in configured:
            configured[event.room] = rules.is_configured(event.room)
        return configured[event.room]

    return [event for event in events if is_wanted(event)]


def _speaks_to_us(event: Incoming, me: UserId) -> bool:
    return event.is_for(me) or me in event.mentions or event.body.startswith(("/", "!", me))


def _tells_of_a_task(event: Incoming) -> bool:
    """Whether an agent says what has become of a task, to whomever: whoever watches it hears of that, too."""
    return isinstance(event.meta, Meta) and event.meta.task is not None


def dated(event: Incoming, now: int | None) -> Incoming:
    """The event with how late it is at `now`, both by the homeserver's clock."""
    if now is None or event.sent_at == 0 or now - event.sent_at <= LATE_MS:
        return event
    return replace(event, late_ms=now - event.sent_at)


def came_back(events: Iterable[Incoming]) -> bool:
    """Whether we left and came back in these events: then the homeserver tells again what it told before."""
    has_left = False
    for event in events:
        has_left = has_left or event.kind is Kind.LEFT
        if has_left and event.kind is Kind.JOINED:
            return True
    return False


def since_we_came(events: Iterable[Incoming]) -> list[Incoming]:
    """What comes after the last time that we left: what was before it, we were told when we were there."""
    since: list[Incoming] = []
    for event in events:
        if event.kind is Kind.LEFT:
            since.clear()
        else:
            since.append(event)
    return since


def by_room(events: Iterable[Incoming]) -> dict[RoomId, list[Incoming]]:
    """The events of each room, in order."""
    rooms: dict[RoomId, list[Incoming]] = {}
    for event in events:
        rooms.setdefault(event.room, []).append(event)
    return rooms


def gap_lost(room: RoomId, token: str, me: UserId, *, first: int, last: int) -> Incoming:
    """That what was said in `room` between two moments (milliseconds) could not be read."""
    return Incoming(
        event=EventId(f"gap {room} {token}"),
        room=room,
        sender=me,
        sent_at=last,
        kind=Kind.GAP_LOST,
        body=f"{min(first, last)}–{last}",
    )
