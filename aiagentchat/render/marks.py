"""The reaction that shows on a command how it ended."""

from collections.abc import Mapping

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import txn_id
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
