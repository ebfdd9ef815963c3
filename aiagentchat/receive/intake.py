"""Which events are worth writing down. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind


@dataclass(frozen=True, slots=True)
class Rules:
    """What intake must know."""

    me: UserId
    is_configured: Callable[[RoomId], bool]


def keep(events: Iterable[Incoming], rules: Rules, *, first: bool) -> list[Incoming]:
    """The events that routing should see, in order.

    The first sync of an account ignores what was said before: only invites count. Our own events, and notices, which
    must never be answered automatically (Client-Server API, "m.notice"), are nothing to us. Invites come from rooms
    that nobody has configured, too; anything else from such a room is not ours to keep.
    """
    return [event for event in events if _is_wanted(event, rules, first=first)]


def _is_wanted(event: Incoming, rules: Rules, *, first: bool) -> bool:
    if event.kind is Kind.INVITE:
        return True
    return not first and event.sender != rules.me and event.kind is not Kind.NOTICE and rules.is_configured(event.room)
