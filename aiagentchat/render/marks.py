"""The reactions that show on a command that it was taken, and how it ended."""

from collections.abc import Mapping

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import EventId, RoomId, txn_id
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.render.message import reaction

REACTIONS: Mapping[CommandState, str] = {
    CommandState.DONE: "✅",
    CommandState.FAILED: "❌",
    CommandState.TIMED_OUT: "⏱️",
    CommandState.CANCELLED: "🛑",
    CommandState.INTERRUPTED: "⚠️",
}
"""What is put on the command when it ends."""

ACCEPTED = "👀"
"""What is put on it when it is taken."""


def accepted(event: EventId, room: RoomId, command: EventId | None = None) -> Parcel:
    """The parcel with that, for a message that is a command, or a part of another one."""
    return Parcel(
        txn=txn_id(event, "accepted"),
        room=room,
        type=REACTION,
        content=reaction(event, ACCEPTED),
        command=command or event,
        urgency=Urgency.SPARE,
    )


def mark(command: Command, state: CommandState) -> Parcel:
    """The parcel with it."""
    return Parcel(
        txn=txn_id(command.event, "mark", state),
        room=command.room,
        type=REACTION,
        content=reaction(command.shown_at, REACTIONS[state]),
        command=command.event,
        urgency=Urgency.SPARE,
    )
