"""/diff: what the last turn that changed files has changed in them."""

from collections.abc import Sequence

from aiagentchat.core.changes import LastChange
from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.core.ids import txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.render import changes
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply


def diff_command(desk: Desk) -> BotCommand:
    """Shows what the executor has kept; nothing is run for it."""

    async def run(asked: Asked) -> Sequence[Effect]:
        event = asked.event
        change = await desk.changes.last(asked.room.id)
        if change is None:
            return reply(event, changes.NOTHING_CHANGED)
        command = await desk.commands.get(change.command)
        whole = changes.is_short(change.changed.patch)
        asked_for = "" if command is None else command.text
        text = changes.change_text(change, asked_for, desk.clock.now_ms(), whole=whole)
        return [*reply(event, text), *([] if whole else [_file(event, change)])]

    return BotCommand(
        name="diff",
        usage="/diff",
        summary="shows what the last turn changed in files",
        role=Role.USER,
        run=run,
        topic=Topic.AFTERWARDS,
        takes=Takes.NOTHING,
    )


def _file(event: Incoming, change: LastChange) -> PutParcel:
    data = change.changed.patch.encode("utf-8", "replace")
    content = {
        "msgtype": "m.file",
        "body": changes.FILE_NAME,
        "filename": changes.FILE_NAME,
        "info": {"mimetype": "text/x-diff", "size": len(data)},
        "m.mentions": {},
    }
    return PutParcel(
        Parcel(
            txn=txn_id(event.event, "diff"),
            room=event.room,
            content=content,
            thread=event.thread,
            attachment=Attachment(data),
        )
    )
