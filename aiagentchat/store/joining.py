"""Messages that are one command: what was typed in short succession, joined in the order in which it came."""

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, UserId
from aiagentchat.store.database import Transaction
from aiagentchat.store.queries import statements

BETWEEN = "\n\n"

_COMMANDS = statements("commands")


async def join(transaction: Transaction, command: Command, joins: EventId) -> bool:
    """Make the message that `command` is of a part of `joins`. False if that takes none (any more)."""
    held = await transaction.run(
        _COMMANDS["join"],
        joins=joins,
        room=command.room,
        sender=command.sender,
        session=command.session,
        held_until=command.held_until,
        about=command.about,
    )
    if not held:
        return False
    await transaction.run(_COMMANDS["put_part"], event=joins, command=joins, text=held[0]["text"])
    await transaction.run(_COMMANDS["put_part"], event=command.event, command=joins, text=command.text)
    await set_joined_text(transaction, joins)
    return True


async def edit_part(transaction: Transaction, event: EventId, text: str, by: UserId) -> bool:
    """Change one of the messages of a command that waits. False if it is none."""
    parts = await transaction.run(_COMMANDS["edit_part"], event=event, text=text, by=by)
    for part in parts:
        await set_joined_text(transaction, EventId(part["command"]))
    return bool(parts)


async def set_joined_text(transaction: Transaction, command: EventId) -> str:
    """The command says what is left of its messages, if anything is. Returns that."""
    parts = await transaction.run(_COMMANDS["parts"], command=command)
    text = BETWEEN.join(part["text"] for part in parts)
    if text:
        await transaction.run(_COMMANDS["set_text"], command=command, text=text)
    return text
