"""/forget: delete an answer from the room, with all that was said in its turn. 🗑 on an answer does the same."""

from collections.abc import Sequence

from aiagentchat.core.commands import MOVES, Command
from aiagentchat.core.effects import Effect, ForgetAnswer
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Incoming
from aiagentchat.render import words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, refused, reply


def forget_command(desk: Desk) -> BotCommand:
    """As a reply: the answer that it replies to. Else the last one of the room."""

    async def run(asked: Asked) -> Sequence[Effect]:
        event = asked.event
        if event.target is None:
            meant = await desk.commands.last_answered(asked.room.id)
        else:
            meant = await answered(desk, event, event.target)
        if meant is None:
            return reply(event, words.NOTHING_TO_FORGET)
        effects = forget(event, meant, is_admin=asked.role is Role.ADMIN)
        is_done = any(isinstance(effect, ForgetAnswer) for effect in effects)
        return [*effects, *(reply(event, words.FORGETTING) if is_done else [])]

    return BotCommand(
        name="forget",
        usage="/forget",
        summary="deletes my last answer, or the one you reply to",
        role=Role.USER,
        run=run,
        topic=Topic.AFTERWARDS,
        takes=Takes.NOTHING,
    )


async def answered(desk: Desk, event: Incoming, target: EventId) -> Command | None:
    """The command that `target`, a message of ours in the room of `event`, answers; or that `target` itself is."""
    parcel = await desk.outbox.parcel_of(target)
    command = await desk.commands.get(target if parcel is None or parcel.command is None else parcel.command)
    return command if command is not None and command.room == event.room else None


def forget(event: Incoming, command: Command, *, is_admin: bool) -> Sequence[Effect]:
    """Delete what answers `command`, if whoever asks may have that done."""
    if not is_admin and event.sender != command.sender:
        return [refused(event, "forget"), *reply(event, words.NOT_YOURS_TO_FORGET)]
    if MOVES[command.state]:
        return reply(event, words.FORGET_WHEN_ENDED)
    return [ForgetAnswer(command.event, event.sender)]
