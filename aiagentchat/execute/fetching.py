"""What a turn is asked: its text, the files that came with it, and those of the workspace that it names with an @.

Files that came are fetched when the turn starts, into `inbox/` of the workspace. The workspace is the agent's, so they
are written beneath it, and never in the place of anything.
"""

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from aiagentchat.core.commands import Command
from aiagentchat.core.errors import MatrixError, NotOpened, RateLimited, Refused, Unreachable
from aiagentchat.core.files import MOST_FILES, MediaFile, clean_type, is_text, numbered, safe_name, type_of
from aiagentchat.core.ids import UserId, message_uuid
from aiagentchat.core.pictures import PDF, pages_of_pdf, picture_of
from aiagentchat.core.ports.agent import Block, Prompt
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Commands
from aiagentchat.core.ports.matrix import SPOILED, TOO_LARGE, Media
from aiagentchat.process.beneath import Why, create_beneath, make_folder_beneath, read_beneath
from aiagentchat.render.file_words import NotFetched, Shown, with_files

INBOX = "inbox"
"""In the workspace: where people find what they have sent."""
TRIES = 3
TRY_AGAIN_SECONDS = (1.0, 5.0)
LONGEST_NAP = 30.0
"""It is looked at least this often whether somebody has ended the command, also when nobody rings."""
LONGEST_REST = 20.0
"""A homeserver that wants us to wait for longer is not waited for."""
MOST_NAMES = 200
"""So many files of one name there may be."""

MOST_SIDE = 8000
MOST_PICTURE_BYTES = 3_900_000
"""The model takes no larger ones: 8000 pixels, and 5 MiB in Base64. The agent can make a larger one smaller."""
MOST_PDF_BYTES = 5 * 2**20
MOST_PDF_PAGES = 100
MOST_SEEN_BYTES = 8 * 2**20
"""Of all that the model sees beside one prompt: it is sent again with each further request of the conversation."""
MOST_INLINE_BYTES = 32 * 1024
"""Of a text that is named with an @; what is more the agent reads itself."""
MOST_INLINE_IN_ALL = 96 * 1024

MIB = 2**20
_NAMED = re.compile(r"(?<![\w@/`])@(?:\./)?([\w.][\w./+-]{0,200})")

log = structlog.get_logger(__name__)


class NotFetchedError(Exception):
    """A file could not be had, so the turn does not start."""

    def __init__(self, name: str, why: NotFetched) -> None:
        super().__init__(why.name)
        self.name = name
        self.why = why


class StoppedError(Exception):
    """Somebody has ended the command before its turn began."""

    def __init__(self, by: UserId) -> None:
        super().__init__(by)
        self.by = by


def paths_in(text: str) -> list[str]:
    """What may be paths in it: ``@src/a.py``, and not ``@anna:example.org`` or ``git@host``."""
    found = (match[1].rstrip(".") for match in _NAMED.finditer(text) if text[match.end() : match.end() + 1] != ":")
    return [path for path in dict.fromkeys(found) if path][:MOST_FILES]


@dataclass(slots=True)
class _Seen:
    """What the model sees beside the text, as far as there is room."""

    blocks: list[Block] = field(default_factory=list)
    size: int = 0

    def take(self, data: bytes) -> str | None:
        """Its kind, if the model sees it from now on."""
        mime = _seen_as(data)
        if mime is None or self.size + len(data) > MOST_SEEN_BYTES:
            return None
        self.blocks.append(Block(mime, data))
        self.size += len(data)
        return mime


def _seen_as(data: bytes) -> str | None:
    """As what the model can see it. A broken picture would spoil the conversation: it is sent again for ever."""
    picture = picture_of(data)
    if picture is not None:
        fits = len(data) <= MOST_PICTURE_BYTES and max(picture.width, picture.height) <= MOST_SIDE
        return picture.mime if fits else None
    if len(data) > MOST_PDF_BYTES:
        return None
    pages = pages_of_pdf(data)
    return PDF if pages is not None and pages <= MOST_PDF_PAGES else None


class Fetcher:
    """Makes prompts of commands."""

    def __init__(self, media: Media | None, commands: Commands, clock: Clock, nudge: asyncio.Event) -> None:
        """Without `media` nothing is fetched. `nudge` is set when somebody may have asked to end the command."""
        self._media = media
        self._commands = commands
        self._clock = clock
        self._nudge = nudge

    async def prompt(self, command: Command, workspace: Path, most: int, *, text: str) -> Prompt:
        """What `command` asks in the words of `text`; a file may have `most` MiB.

        Only what was typed names files: `text` may be what a project's command stands for. Raises NotFetchedError, and
        StoppedError.
        """
        async with asyncio.TaskGroup() as group:
            making = group.create_task(self._try_to_make(command, workspace, most, text), name="prompt")
            stopping = group.create_task(self._stopped(command), name="prompt: stop")
            await asyncio.wait((making, stopping), return_when=asyncio.FIRST_COMPLETED)
            made = making.result() if making.done() else StoppedError(stopping.result())
            making.cancel()
            stopping.cancel()
        if isinstance(made, Prompt):
            return made
        raise made

    async def _stopped(self, command: Command) -> UserId:
        """Returns when somebody asks to end the command: who."""
        while True:
            self._nudge.clear()
            if (by := await self._commands.stop_requested(command.event)) is not None:
                return by
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_NAP):
                    await self._nudge.wait()

    async def _try_to_make(self, command: Command, workspace: Path, most: int, text: str) -> Prompt | NotFetchedError:
        try:
            return await self.make(command, workspace, most, text=text)
        except NotFetchedError as error:
            return error

    async def make(self, command: Command, workspace: Path, most: int, *, text: str) -> Prompt:
        """As `prompt`, for what is given to a turn that runs: whoever ends that ends this. Raises NotFetchedError."""
        seen, came = _Seen(), []
        for file in await self._commands.files_of(command.event):
            data = await self._fetch(file, most * MIB)
            path = await asyncio.to_thread(_keep, workspace, file, data)
            mime = await asyncio.to_thread(seen.take, data)
            came.append(Shown(path=path, mime=mime or file.mime, size=len(data), seen=mime is not None))
            log.info("file.fetched", bytes=len(data), seen=mime is not None)
        named = await asyncio.to_thread(_named_in, command.text, workspace, seen, most * MIB)
        said = with_files(text, came, named)
        return Prompt(uuid=message_uuid(command.event), text=said, blocks=tuple(seen.blocks))

    async def _fetch(self, file: MediaFile, most: int) -> bytes:
        if self._media is None:
            raise NotFetchedError(file.name, NotFetched.UNREACHABLE)
        tried = 0
        while True:
            tried += 1
            try:
                return await self._media.download(file, most=most)
            except Refused as error:
                log.warning("file.not_fetched", error=str(error))
                whys = {TOO_LARGE: NotFetched.TOO_LARGE, SPOILED: NotFetched.SPOILED}
                raise NotFetchedError(file.name, whys.get(error.errcode, NotFetched.GONE)) from error
            except MatrixError as error:
                rest = _rest(error, tried)
                log.warning("file.not_fetched", error=str(error), wait_s=rest)
                if rest is None:
                    raise NotFetchedError(file.name, NotFetched.UNREACHABLE) from error
                await self._clock.sleep(rest)


def _rest(error: MatrixError, tried: int) -> float | None:
    """How long to wait before the next try; None if there is none."""
    if tried >= TRIES:
        return None
    if isinstance(error, RateLimited):
        return error.retry_after if error.retry_after <= LONGEST_REST else None
    return TRY_AGAIN_SECONDS[tried - 1] if isinstance(error, Unreachable) else None


def _keep(workspace: Path, file: MediaFile, data: bytes) -> str:
    """Write it down under a name that is free, unless it is there already: a command may be run again."""
    name = safe_name(file.name, file.mime)
    try:
        make_folder_beneath(workspace, INBOX)
        for number in range(1, MOST_NAMES + 1):
            path = f"{INBOX}/{numbered(name, number)}"
            if _write(workspace, path, data):
                return path
    except (NotOpened, OSError) as error:
        log.warning("file.not_kept", why=error.why if isinstance(error, NotOpened) else error.strerror)
        raise NotFetchedError(file.name, NotFetched.NOT_WRITTEN) from error
    log.warning("file.not_kept", why="names")
    raise NotFetchedError(file.name, NotFetched.NOT_WRITTEN)


def _write(workspace: Path, path: str, data: bytes) -> bool:
    """Whether it is there now. Raises NotOpened, and OSError."""
    try:
        descriptor = create_beneath(workspace, path)
    except NotOpened as error:
        if error.why != Why.EXISTS:
            raise
        with suppress(NotOpened):
            return read_beneath(workspace, path, len(data)) == data
        return False
    with os.fdopen(descriptor, "wb") as written:
        written.write(data)
    return True


def _named_in(text: str, workspace: Path, seen: _Seen, most: int) -> list[Shown]:
    """The files of the workspace that a message names. What is none is only text."""
    shown: list[Shown] = []
    room = MOST_INLINE_IN_ALL
    for path in paths_in(text):
        try:
            data = read_beneath(workspace, path, most)
        except NotOpened:
            continue
        mime = seen.take(data)
        inline = None
        if mime is None and is_text(data):
            inline = data[: min(MOST_INLINE_BYTES, room)].decode("utf-8", "ignore")
            room -= len(inline.encode())
        shown.append(
            Shown(
                path=path,
                mime=mime or clean_type(type_of(path)),
                size=len(data),
                seen=mime is not None,
                text=inline or None,
                cut=inline is not None and len(inline.encode()) < len(data),
            )
        )
    return shown
