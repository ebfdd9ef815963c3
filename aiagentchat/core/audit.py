"""Who did what in the rooms: lines that are written once, together with what they tell of, and never changed.

A line holds ids, numbers and short words: never what people wrote, and no secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiagentchat.core.ids import RoomId, UserId

MOST_REFUSALS = 10
"""Lines about what one sender was refused in one room within an hour; one more line then says how many there were."""
HOUR_MS = 3_600_000
MOST_DETAILS = 8
MOST_CHARACTERS = 255
"""Of a subject, and of a text among the details: as long as Matrix lets an id be."""


class AuditKind(StrEnum):
    """What somebody did."""

    ASKED = "asked"
    """A message was accepted as a command."""
    REJECTED = "rejected"
    """It was from somebody who may, and there was no place for it."""
    REFUSED = "refused"
    """It was from somebody who may not; `why` says what it was."""
    INVITE_REFUSED = "invite_refused"
    REFUSED_MORE = "refused_more"
    """What was refused beyond MOST_REFUSALS, in an hour that is over: how much."""
    APPROVED = "approved"
    DENIED = "denied"
    ALLOWED = "allowed"
    """A request was run without a question: this person had allowed it for the whole conversation."""
    ANSWERED = "answered"
    """A question of the agent, or of our own: whether to go on after a restart, whether to run what was missed."""
    STOPPED = "stopped"
    EDITED = "edited"
    TAKEN_BACK = "taken_back"
    FORGOTTEN = "forgotten"
    """An answer was deleted."""
    SETTING = "setting"
    """Something that holds for the room, or for what runs in it, was changed; `name` says what."""
    GRANTED = "granted"
    """Somebody was given a role in the room; `role` and `until` say which, and until when."""
    REVOKED = "revoked"
    """What somebody was given was taken back."""
    INVITED = "invited"
    """We followed an invite."""
    ROOM_MADE = "room_made"
    """A room became one of ours in chat; `folder` says where it works."""
    ROOM_UNMADE = "room_unmade"
    HALTED = "halted"
    """Agents were halted in the room, because this one has asked for one turn too many."""
    CONTINUED = "continued"
    """Somebody has let agents go on."""
    REMOVED = "removed"
    """We are out of the room."""
    LOGGED_IN = "logged_in"
    KEYS = "keys"
    """The operator has had a key made, or has given one; `what` says which."""
    RELOADED = "reloaded"
    """The operator had the settings read again."""


LIMITED = frozenset({AuditKind.REFUSED, AuditKind.INVITE_REFUSED})
"""What anybody can bring about who is let into a room, as often as he likes."""

Detail = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody did, to what."""

    kind: AuditKind
    room: RoomId | None = None
    """None: it is no room's matter, or of a room that is not ours."""
    actor: UserId | None = None
    """None: the operator of the daemon."""
    subject: str = ""
    """The event, person, question or device that it is about."""
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """A deed, as it was written down."""

    at: int
    """Milliseconds since the epoch, by this machine's clock."""
    deed: Deed


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which lines are wanted. None: any."""

    room: RoomId | None = None
    actor: UserId | None = None
    kind: AuditKind | None = None
    since: int = 0
    """Milliseconds since the epoch."""


def small(detail: Detail) -> Detail:
    """What is kept of `detail`."""
    kept = list(detail.items())[:MOST_DETAILS]
    return {key: value if isinstance(value, int) else value[:MOST_CHARACTERS] for key, value in kept}
