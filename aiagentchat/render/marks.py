"""Our reactions: that a command was taken, how it ended, and those on a question that a phone can tap."""

from collections.abc import Mapping, Sequence

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import EventId, RoomId, txn_id
from aiagentchat.core.parcels import KEY, PARCEL, REACTION, Parcel, Urgency
from aiagentchat.render.message import reaction

REACTIONS: Mapping[CommandState, str] = {
    CommandState.DONE: "✅",
    CommandState.FAILED: "❌",
    CommandState.TIMED_OUT: "⏱️",
    CommandState.CANCELLED: "🛑",
    CommandState.INTERRUPTED: "⚠️",
}
"""What is put on the command when it ends."""
YES_OR_NO = ("✅", "❌")
"""What is put on a question that has no other answers."""

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


def mark_for_people(command: Command, state: CommandState) -> list[Parcel]:
    """The same, for whom it is: a program is told how far its message is by receipts and by its answer."""
    return [] if command.is_of_program else [mark(command, state)]


def taps(question: Parcel, keys: Sequence[str]) -> list[Parcel]:
    """The parcels with the answers that `question` may be given, for whoever taps instead of typing.

    Ours are no answers. Where the homeserver's limit is near, or the question is answered before, they are left away.
    """
    return [
        Parcel(
            txn=txn_id(question.txn, "tap", key),
            room=question.room,
            type=REACTION,
            content={PARCEL: question.txn, KEY: key},
            command=question.command,
            approval=question.approval,
            urgency=Urgency.SPARE,
        )
        for key in keys
    ]
