"""People who keep typing while things go wrong, and who remember what they typed."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from rig.conversation import Event
from rig.faults.evidence import ENDINGS, is_last_page, is_refusal, is_report
from rig.faults.prompts import WORD, prompt
from rig.js_engine import EngineRefused, EngineSilent
from rig.matrix_client import MatrixUser, Refused

AT_MOST_OPEN = 4
"""Messages of a room that wait for an answer; beyond that people wait, too."""
BUSY, BUSY_WITHIN = 3, 10.0
"""So many messages that wait for an answer are worth a fault; and the seconds until people have typed them."""
TYPE_WITHIN = 60.0
"""Seconds for which a message is typed again while the homeserver is away."""
TYPE_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Size:
    """A kind of answer."""

    words: tuple[int, int]
    chunk: int = 0
    delay: float = 0.0


SIZES = (
    (50, Size((3, 40))),
    (30, Size((200, 400), chunk=700, delay=0.1)),
    (12, Size((400, 600), chunk=300, delay=0.2)),
    (8, Size((1600, 2400), chunk=3000, delay=0.05)),
)
"""How often, and what: at once, in some pieces, for longer than two windows, on three or four pages."""


class Typist:
    """Types into the rooms as `person`, and sees what ends."""

    def __init__(self, person: MatrixUser, rooms: Sequence[str], bot: str, *, prefix: str, seed: random.Random) -> None:
        self.person = person
        self.rooms = rooms
        self._bot = bot
        self._random = seed
        self._names = (f"{prefix}{number:04}" for number in itertools.count(1))
        self._open: dict[str, dict[str, str]] = {room: {} for room in rooms}
        """What waits for an outcome, by event: its name."""
        self._seen = dict.fromkeys(rooms, 0)
        self._ended: set[str] = set()
        self._may_type = asyncio.Event()
        self._idle = asyncio.Condition()
        self._typing = 0

    def open(self, room: str = "") -> list[str]:
        """The names of the messages, in a room or in all, whose end cannot be read yet."""
        for each in self.rooms:
            self._look(each)
        return [name for each in ([room] if room else self.rooms) for name in self._open[each].values()]

    async def keep_typing(self) -> None:
        """Until cancelled: a message here and there, as long as few wait, and `pause` was not called."""
        while True:
            await self._may_type.wait()
            room = self._random.choice(self.rooms)
            if len(self.open(room)) < AT_MOST_OPEN:
                await self.type(room)
            await asyncio.sleep(self._random.uniform(0.02, 0.15))

    def go_on(self) -> None:
        """Type."""
        self._may_type.set()

    async def pause(self) -> None:
        """Type nothing more; returns when what is being typed is there."""
        self._may_type.clear()
        async with self._idle:
            await self._idle.wait_for(lambda: self._typing == 0)

    async def type(self, room: str, text: Callable[[str], str] | None = None) -> str:
        """Type a message, whatever it takes; its name. `text` makes it out of the name."""
        name = next(self._names)
        self._typing += 1
        try:
            event = await self._send(room, (text or self._text)(name), name)
        finally:
            self._typing -= 1
            async with self._idle:
                self._idle.notify_all()
        self._open[room] |= {} if self._ended & {event, name} else {event: name}
        return name

    async def until_quiet(self, timeout: float) -> bool:
        """Wait until nothing is open. False when that takes longer than `timeout`."""
        with suppress(AssertionError):
            await self.person.until(lambda: not self.open(), timeout=timeout, what="everything to end")
        return not self.open()

    async def until_ended(self, name: str, timeout: float) -> bool:
        """Wait until this message has come to its end. False when that takes longer than `timeout`."""
        with suppress(AssertionError):
            await self.person.until(lambda: name not in self.open(), timeout=timeout, what=f"the end of {name}")
        return name not in self.open()

    async def until_busy(self) -> None:
        """Wait until a few messages wait for an answer, so that a fault has something to harm."""
        with suppress(AssertionError):
            await self.person.until(lambda: len(self.open()) >= BUSY, timeout=BUSY_WITHIN, what="people to type")

    def give_up(self) -> None:
        """What is open will stay so."""
        for room in self.rooms:
            self._open[room].clear()

    def _look(self, room: str) -> None:
        events = self.person.events(room)
        for event in events[self._seen[room] :]:
            ended = _ends(event, self._bot)
            self._ended |= ended
            for waiting, name in list(self._open[room].items()):
                if ended & {waiting, name}:
                    del self._open[room][waiting]
        self._seen[room] = len(events)

    def _text(self, name: str) -> str:
        [size] = self._random.choices([size for _, size in SIZES], [weight for weight, _ in SIZES])
        return prompt(name, self._random.randint(*size.words), chunk=size.chunk, delay=size.delay)

    async def _send(self, room: str, text: str, txn: str) -> str:
        async with asyncio.timeout(TYPE_WITHIN):
            while True:
                try:
                    return await self.person.send(room, text, txn=txn)
                except (aiohttp.ClientError, Refused, EngineRefused, EngineSilent):
                    await asyncio.sleep(TYPE_AGAIN)


def _ends(event: Event, bot: str) -> set[str]:
    """The messages, by event or by name, that this event of the bot says the end of.

    By its mark, a refusal, a report, or the last page of its answer. Under a rate limit marks come late or never.
    """
    if event["sender"] != bot:
        return set()
    content = event.get("content") or {}
    relates = content.get("m.relates_to") or {}
    if event["type"] == "m.reaction" and relates.get("key") in ENDINGS:
        return {str(relates.get("event_id", ""))}
    body = str((content.get("m.new_content") or content).get("body", ""))
    if is_refusal(body) or is_report(body):
        return {str((relates.get("m.in_reply_to") or {}).get("event_id", ""))}
    return {name for name, _ in WORD.findall(body)} if is_last_page(body) else set()
