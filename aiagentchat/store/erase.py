"""What is erased when a message is taken back: everything that the ledger has of its text, wherever it went.

A text that is still needed (what is on its way into the room, or is to go) is marked, and goes as soon as it is over.
Erased text is overwritten in the file (`secure_delete`), and leaves SQLite's log with the next checkpoint.
"""

import json
import re

from aiagentchat.core.audit import Detail
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId, txn_id
from aiagentchat.core.parcels import PARCEL, REDACTION, Parcel
from aiagentchat.render.hygiene import as_written
from aiagentchat.store import history, task_moves
from aiagentchat.store.database import Row, Transaction
from aiagentchat.store.joining import set_joined_text
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements
from aiagentchat.store.sessions import unname

FIRST_WORDS = 50
"""Characters of a message that are looked for where it may have been cut: no list shows fewer."""
LEAST_WORDS = 12
"""Fewer would be found where somebody else said them."""

_BOT_COMMAND = re.compile(r"\A[/!][a-z_]+\s+")
_LINE_ENDS = re.compile(r"\s{2,}|[\n\t]")
_ERASE = statements("erase")
_INBOX = statements("inbox")


async def erase(transaction: Transaction, event: EventId, room: RoomId, by: UserId, now: int) -> Detail | None:
    """Erase what `event` said. Returns None where it was neither a command nor a message of ours."""
    said = await transaction.run(_INBOX["get"], event=event)
    body = next((row["body"] for row in said if row["room_id"] == room), "")
    [known] = await transaction.run(_ERASE["said"], event=event, room=room)
    await transaction.run(_ERASE["event"], event=event, room=room)
    await transaction.run(_ERASE["edits"], event=event, room=room)
    await transaction.run(_ERASE["malformed"], event=event, room=room)
    commands = await _erase_commands(transaction, event, room, by, now)
    for command in commands:
        await _erase_turn(transaction, command, room)
        await unname(transaction, command)
    await transaction.run(_ERASE["offers"], event=event, room=room)
    await transaction.run(_ERASE["reasons"], room=room, said=body)
    await transaction.run(_ERASE["tasks"], room=room, event=event, said=" ".join(body.split()))
    if body or commands:
        words = {"text": _as_json(_quoted(body)), "beginning": _as_json(_beginning(body))}
        await transaction.run(_ERASE["quotes"], room=room, event=event, **words)
    ours = await transaction.run(_ERASE["ours"], event=event, room=room)
    for message in ours:
        await transaction.run(_ERASE["edits_of_ours"], message=message["txn_id"], now=now)
    await transaction.run(_ERASE["sent"], event=event, room=room)
    await transaction.run(_ERASE["answer_to_sent"], event=event, room=room)
    await _erase_between_programs(transaction, event, room, known["body"])
    await transaction.run(_ERASE["task"], event=event, room=room)
    await history.take_back(transaction, event, room)
    await history.erase_with_parcels(transaction, room)
    return {} if commands or ours else None


async def forget_answer(transaction: Transaction, command: EventId, by: UserId, now: int) -> Detail | None:
    """Delete what was said in answer to `command`, and erase that and what asked for it. None: nothing was said."""
    await transaction.run(_ERASE["unsent_of_answer"], command=command, now=now)
    said = await transaction.run(_ERASE["said_in_answer"], command=command)
    if not said:
        return None
    room = RoomId(said[0]["room_id"])
    await put_parcels(transaction, [_deletion(row, command) for row in said], now)
    await erase(transaction, command, room, by, now)
    await transaction.run(_ERASE["deleted"], command=command)
    await history.erase_with_parcels(transaction, room)
    return {"messages": sum(not row["is_edit"] for row in said), "edits": sum(row["is_edit"] for row in said)}


async def forget_edits(transaction: Transaction, event: EventId, room: RoomId, now: int) -> None:
    """Delete the edits of a message of ours."""
    said = await transaction.run(_ERASE["edits_of"], event=event, room=room)
    await put_parcels(transaction, [_deletion(row, row["command"]) for row in said], now)


async def _erase_commands(
    transaction: Transaction, event: EventId, room: RoomId, by: UserId, now: int
) -> list[EventId]:
    """Erase it from what has become a command of it. One that was joined of several messages keeps the others."""
    parts = await transaction.run(_ERASE["part"], event=event, room=room)
    command = EventId(parts[0]["command"]) if parts else event
    left = await set_joined_text(transaction, command) if parts else ""
    rows = await transaction.run(
        _ERASE["commands"], event=command, kept=command if left else "", room=room, by=by, now=now
    )
    erased = [EventId(row["event_id"]) for row in rows]
    for each in erased:
        await task_moves.follow(transaction, each, now)
    return [*([command] if left else []), *erased]


async def _erase_turn(transaction: Transaction, command: EventId, room: RoomId) -> None:
    await transaction.run(_ERASE["questions"], command=command, room=room)
    await transaction.run(_ERASE["rules"], command=command, room=room)
    await transaction.run(_ERASE["parcels_of_command"], command=command, room=room)
    await transaction.run(_ERASE["patch_of_command"], command=command, room=room)


async def _erase_between_programs(transaction: Transaction, event: EventId, room: RoomId, said: str | None) -> None:
    """Erase it from what was sent for programs, and answered. NULL is found nowhere."""
    text = as_written(said.strip()) if said else ""  # as they keep it
    quoted = text if len(text) >= LEAST_WORDS else None
    await transaction.run(_ERASE["part_of_answer"], event=event, room=room, said=quoted)
    if quoted is not None:
        await transaction.run(_ERASE["sent_quotes"], room=room, said=quoted)


def _deletion(row: Row, command: EventId | None) -> Parcel:
    """The parcel that deletes what another one has become, or becomes before it."""
    return Parcel(
        txn=txn_id(row["txn_id"], "deletion"),
        room=RoomId(row["room_id"]),
        type=REDACTION,
        content={PARCEL: TxnId(row["txn_id"])},
        command=command,
    )


def _quoted(text: str) -> str:
    """What is shown of it: of a bot command (/now) what stands behind its name."""
    said = _BOT_COMMAND.sub("", text)
    return said if len(said) >= LEAST_WORDS else text


def _beginning(text: str) -> str:
    """What is left where a list shows its first words on one line (/queue); nothing where that could be anything."""
    begun = _LINE_ENDS.split(_quoted(text).strip(), maxsplit=1)[0][:FIRST_WORDS]
    return begun if len(begun) >= LEAST_WORDS else ""


def _as_json(text: str) -> str | None:
    """As it stands inside a string of the outbox's content."""
    return json.dumps(text)[1:-1] or None
