"""/files and /get: what is in the workspace, and one of it. The workspace is the agent's: nothing in it is followed."""

import asyncio
from pathlib import Path

from aiagentchat.config.settings import slug_wish
from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.files import MOST_UNSENT
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.process.beneath import Why, read_beneath
from aiagentchat.process.listing import Listing, newest
from aiagentchat.render import file_words
from aiagentchat.render.file_message import file_message
from aiagentchat.render.file_words import Listed
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply

MOST_SHOWN = 20
MIB = 2**20


def files_command(desk: Desk) -> BotCommand:
    """Lists."""

    async def run(asked: Asked) -> list[Effect]:
        folder = _plain(asked.arguments)
        try:
            found = await asyncio.to_thread(newest, await _workspace(desk, asked), folder, MOST_SHOWN)
        except NotOpened as error:
            return reply(asked.event, file_words.no_folder(folder, error.why))
        except OSError:
            return reply(asked.event, file_words.listing("", [], 0, whole=True))  # nothing was run here yet
        return reply(asked.event, _told(folder, found, desk.clock.now_ms() / 1000))

    return BotCommand(
        name="files",
        usage="/files folder",
        summary="lists the newest files here",
        role=Role.USER,
        run=run,
        topic=Topic.FILES,
        examples=("/files", "/files src"),
    )


def get_command(desk: Desk) -> BotCommand:
    """Sends one."""

    async def run(asked: Asked) -> list[Effect]:
        path, most = _plain(asked.arguments), desk.settings().max_file
        if not path:
            return reply(asked.event, file_words.GET_WHAT)
        workspace = await _workspace(desk, asked)
        try:
            data = await asyncio.to_thread(read_beneath, workspace, path, most * MIB)
        except NotOpened as error:
            too_large = error.why == Why.SIZE
            told = file_words.too_large_to_send(most) if too_large else file_words.not_opened(path, error.why)
            return reply(asked.event, told)
        if await desk.outbox.attached(asked.room.id) + len(data) > MOST_UNSENT * most * MIB:
            return reply(asked.event, file_words.TOO_MUCH_WAITS)
        answers = {"m.relates_to": {"m.in_reply_to": {"event_id": asked.event.event}}}
        return [
            PutParcel(
                Parcel(
                    txn=txn_id(asked.event.event, "get"),
                    room=asked.room.id,
                    content={**file_message(Path(path).name, data), **answers},
                    thread=asked.event.thread,
                    attachment=Attachment(data),
                )
            )
        ]

    return BotCommand(
        name="get",
        usage="/get path",
        summary="sends a file of this room",
        role=Role.USER,
        run=run,
        topic=Topic.FILES,
        examples=("/get report.pdf",),
    )


async def _workspace(desk: Desk, asked: Asked) -> Path:
    return desk.settings().workspace_of(asked.room, await desk.rooms.slug(asked.room.id, slug_wish(asked.room)))


def _plain(typed: str) -> str:
    """The path, without what people put around one."""
    path = typed.strip().strip("`'\"").removeprefix("@").removeprefix("./").rstrip("/")
    return "" if path == "." else path


def _told(folder: str, found: Listing, now: float) -> str:
    files = [Listed(path=each.path, size=each.size, age=max(0.0, now - each.changed)) for each in found.files]
    return file_words.listing(folder, files, found.count - len(files), whole=found.whole)
