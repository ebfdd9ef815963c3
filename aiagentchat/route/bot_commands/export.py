"""/export: the conversation as a Markdown file.

The words are those that the agent has written down: what the ledger had of them is erased after some days. Whose they
are, and what became of them, the ledger knows: a turn that was deleted, or that it does not know (any more), is left
out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.core.ids import EventId, message_uuid, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.core.transcripts import Part, Piece
from aiagentchat.render import session_words
from aiagentchat.render.export import Head, Turn, markdown
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply

MOST_ATTEMPTS = 20
"""A command is asked again under another id after each wait for a usage limit."""


def export_command(desk: Desk) -> BotCommand:
    """Of the conversation that the room, or the thread, is in."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        current = await conversations.current(desk, event)
        session = None if current is None else await desk.sessions.get(current)
        if session is None:
            return reply(event, session_words.NOTHING_TO_EXPORT)
        transcript = await desk.transcript(asked.room, session.id)
        if transcript is None:
            return reply(event, session_words.NO_TRANSCRIPT)
        commands = await desk.commands.of_session(event.room, session.id)
        gone = await desk.commands.was_taken_back(event.room, session.id)
        told = told_in(transcript.pieces, commands, gone)
        if not told.turns:
            return reply(event, session_words.NOTHING_TO_EXPORT)
        head = Head(
            session=session.name,
            room=asked.room.name,
            now=desk.clock.now_ms(),
            left_out=told.left_out,
            is_cut=transcript.is_cut or told.is_cut,
        )
        return [PutParcel(_file(event, session.name, markdown(head, told.turns)))]

    return BotCommand(
        name="export",
        usage="/export",
        summary="gives you this conversation as a file",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
        takes=Takes.NOTHING,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What of a conversation may be shown."""

    turns: Sequence[Turn]
    left_out: int
    """Turns that somebody has deleted."""
    is_cut: bool
    """Whether there were turns before, of which nobody knows any more whether somebody has."""


def told_in(pieces: Iterable[Piece], commands: Iterable[Command], gone: Collection[EventId]) -> Told:
    """The pieces by the command that they belong to; `gone` are those of the commands that were deleted.

    What a command asked is taken from the ledger, as long as it has that: the agent's own record could say anything.
    """
    by_uuid = _by_uuid(commands)
    found: dict[EventId, tuple[Command, str, list[Piece]]] = {}
    left_out: set[EventId] = set()
    current: list[Piece] | None = None
    is_cut = False
    for piece in pieces:
        if piece.part is not Part.ASKED:
            if current is not None:
                current.append(piece)
            continue
        command = by_uuid.get(piece.uuid)
        if command is None:
            is_cut = is_cut or not (found or left_out)  # else it is the agent's own, in between
        elif command.event in gone:
            left_out.add(command.event)
            current = None
        else:
            _, _, current = found.setdefault(command.event, (command, command.text or piece.text, []))
    turns = [
        Turn(by=command.sender, at=command.queued_at, asked=asked, pieces=said)
        for command, asked, said in found.values()
    ]
    return Told(turns, len(left_out), is_cut)


def _by_uuid(commands: Iterable[Command]) -> Mapping[str, Command]:
    return {message_uuid(command.event, attempt): command for command in commands for attempt in range(MOST_ATTEMPTS)}


def _file(event: Incoming, session: str, text: str) -> Parcel:
    data = text.encode("utf-8")
    content = {
        "msgtype": "m.file",
        "body": session_words.exported(session),
        "filename": f"{session}.md",
        "info": {"mimetype": "text/markdown", "size": len(data)},
        "m.mentions": {},
        "m.relates_to": {"m.in_reply_to": {"event_id": event.event}},
    }
    return Parcel(
        txn=txn_id(event.event, "export"),
        room=event.room,
        content=content,
        thread=event.thread,
        attachment=Attachment(data),
    )
