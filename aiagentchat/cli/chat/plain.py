"""The chat without a terminal: each line of the input is sent, its answer awaited and printed as it is."""

import asyncio
import os
import threading
import uuid
from contextlib import suppress

import typer

from aiagentchat.cli.chat.errors import NoAnswer
from aiagentchat.cli.chat.room import Room
from aiagentchat.cli.safe import safe
from aiagentchat.core.ids import EventId

TAKEN_SECONDS = 60.0
"""How long it may take until somebody takes a message."""
ANSWER_SECONDS = 24 * 3600.0
"""How long an answer may take. The daemon ends what takes longer than its own limit much earlier."""
_CHUNK = 65536
_APPROVAL_WAITS = (
    "cchat: an approval waits; answer it in another client, or give the line /approve after the message next time"
)


async def plain(room: Room) -> int:
    """Until the input ends. Raises NoAnswer."""
    async with asyncio.TaskGroup() as group:
        following = group.create_task(room.follow())
        lines = Lines()
        while (line := await lines.next()) is not None:
            await _ask(room, line, lines)
        following.cancel()
    return 0


class Lines:
    """The lines of the input, each read when it is wanted, on a thread that nobody has to wait for at the end."""

    def __init__(self) -> None:
        self._wanted = threading.Semaphore(0)
        self._read: asyncio.Queue[bytes] = asyncio.Queue()
        self._rest = b""
        self._ended = False
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._serve, name="stdin", daemon=True).start()

    async def next(self) -> str | None:
        """The next line that says something; None at the end."""
        while not self._ended or self._rest:
            line, found, rest = self._rest.partition(b"\n")
            if not found and not self._ended:
                self._wanted.release()
                data = await self._read.get()
                self._rest += data
                self._ended = not data
                continue
            self._rest = rest
            if text := line.decode("utf-8", "replace").strip():
                return text
        return None

    def _serve(self) -> None:
        """Reads the descriptor itself: the lock of sys.stdin would be held while the program ends."""
        while True:
            self._wanted.acquire()
            try:
                data = os.read(0, _CHUNK)
            except OSError:
                data = b""
            with suppress(RuntimeError):  # the loop is closed: nobody wants it any more
                self._loop.call_soon_threadsafe(self._read.put_nowait, data)


async def _ask(room: Room, line: str, lines: Lines) -> None:
    """Send a line and print what comes of it. While an approval waits, the lines that follow are sent too."""
    timeline = room.timeline
    before = {message.id for message in timeline.messages}
    event = await room.say(line, uuid.uuid4().hex)
    try:
        await room.until(lambda: _is_taken(room, event), timeout=TAKEN_SECONDS)
        await _until_over(room, event, lines)
    except TimeoutError:
        why = "there is no end of the answer; look into the room with another client"
        if not _is_taken(room, event):
            why = (
                f"nobody took the message within {TAKEN_SECONDS:.0f} s; is the daemon running, and may you write here?"
            )
        raise NoAnswer(why) from None
    for message in timeline.messages:
        if message.id not in before and message.sender != room.me:
            typer.echo(f"{safe(message.body)}\n")


async def _until_over(room: Room, event: EventId, lines: Lines) -> None:
    answered: set[EventId] = set()

    def open_question() -> bool:
        question = room.timeline.waits
        return question is not None and question.id not in answered

    while True:
        await room.until(lambda: _is_over(room, event) or open_question(), timeout=ANSWER_SECONDS)
        if _is_over(room, event):
            return
        if question := room.timeline.waits:
            answered.add(question.id)
            if (line := await lines.next()) is None:
                typer.echo(_APPROVAL_WAITS, err=True)
            else:
                await room.say(line, uuid.uuid4().hex)


def _is_taken(room: Room, event: EventId) -> bool:
    message = room.timeline.get(event)
    return message is not None and (room.timeline.is_accepted(message) or _is_over(room, event))


def _is_over(room: Room, event: EventId) -> bool:
    """A command has its outcome; anything else has a reply."""
    message = room.timeline.get(event)
    if message is None:
        return False
    if room.timeline.is_accepted(message):
        return bool(room.timeline.outcome(message))
    return any(other.reply_to == event and other.sender != room.me for other in room.timeline.messages)
