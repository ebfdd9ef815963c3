"""A turn's words, window by window: the first at once, then every two seconds, so that a room is not flooded.

Implements the Sink port. What was taken out of the answer is kept until we have seen that the outbox has it, so that a
turn that ends in the middle of a write, or while the ledger waits for its disk, loses nothing: the outbox knows a
parcel that it has already by its transaction id.
"""

import asyncio
from collections.abc import Callable

from aiagentchat.core.agent_events import PlanChanged
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import InstanceName, RoomId
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Outbox
from aiagentchat.core.showing import Form, Showing
from aiagentchat.send.answer import Answer
from aiagentchat.send.appended import Appended

FIRST_WINDOW = 0.005
"""Seconds for which the first words wait for the rest of what comes in the same moment."""
END_WINDOW = 0.02
"""Seconds more when they were a whole block: the end of the turn may follow, and then one message is the answer."""
WINDOW = 2.0
"""Seconds between two states of an answer."""
EDITS_PER_WIDENING = 15
"""After so many edits of one message the window grows by another WINDOW: sixty edits last five minutes."""


class Speech:
    """The sink of one command."""

    def __init__(
        self,
        command: Command,
        *,
        outbox: Outbox,
        clock: Clock,
        showing: Showing | None = None,
        instance: InstanceName | None = None,
    ) -> None:
        self._command = command
        self._showing = showing or Showing()
        self._answer = (Answer if self._showing.form is Form.LIVE else Appended)(command, self._showing, instance)
        self._began = clock.monotonic()
        self._outbox = outbox
        self._clock = clock
        self._news = asyncio.Event()
        self._on_the_way: list[Parcel] = []
        """Taken out of the answer, and not known to be written."""
        self._last: float | None = None

    @property
    def silent(self) -> bool:
        """Whether no word was added yet."""
        return self._answer.silent

    async def serve(self) -> None:
        """Say what was added, window by window, until cancelled."""
        while True:
            await self._news.wait()
            await self._clock.sleep(self._wait())
            if self._last is None and not self._answer.in_block:
                await self._clock.sleep(END_WINDOW)
            self._news.clear()
            self._on_the_way += self._answer.flush()
            if self._on_the_way:
                self._last = self._clock.monotonic()
                written = tuple(self._on_the_way)
                await self._outbox.put(written, self._clock.now_ms())
                # Not all of them: a break may have added some meanwhile.
                del self._on_the_way[: len(written)]

    def add(self, text: str) -> None:
        """Some more text."""
        self._answer.add(text)
        self._news.set()

    def tool(self, line: str) -> None:
        """One quiet line about a tool, where the room wants to see it."""
        if self._showing.tools:
            self._answer.tool(line)
        else:
            self._answer.block_ended()
        self._news.set()

    def think(self, text: str) -> None:
        """What the model thought, where the room wants to see it."""
        if self._showing.thinking:
            self._answer.think(text)
            self._news.set()

    def plan(self, plan: PlanChanged) -> None:
        """What the agent wants to do, where the room wants to see it."""
        if self._showing.tools:
            self._answer.plan(plan)
            self._news.set()

    def progress(self, line: str) -> None:
        """One quiet line about what goes on while nothing is said."""
        self._answer.progress(line)
        self._news.set()

    def block_ended(self) -> None:
        """What was added is final."""
        self._answer.block_ended()
        if self._showing.form is Form.APPEND:
            self._news.set()  # what is complete need not wait for more

    def retract(self) -> None:
        """Take back what was added since the last final block."""
        self._answer.retract()
        self._news.set()

    def break_off(self) -> list[Parcel]:
        """What is still unsaid; what is added later goes into a new message.

        It is kept as well: whoever was to write it may be cancelled before.
        """
        self._on_the_way += self._answer.break_off()
        self._news.set()
        return [*self._on_the_way]

    def close(self, last_words: str, footer: str) -> list[Parcel]:
        """What is still unsaid, the last words and the footer. Who waited for long is mentioned."""
        limit = self._showing.notify_after if self._has_phone else 0
        is_long = limit > 0 and self._clock.monotonic() - self._began >= limit
        end = self._answer.close(last_words, footer, mention=self._command.sender if is_long else None)
        return [*self._on_the_way, *end]

    @property
    def _has_phone(self) -> bool:
        """Whether a person has asked, who looks at something else meanwhile."""
        return self._command.meta is None and self._command.caller is None

    def _wait(self) -> float:
        if self._last is None:
            return FIRST_WINDOW
        window = WINDOW * (1 + self._answer.edits // EDITS_PER_WIDENING)
        return max(0.0, self._last + window - self._clock.monotonic())


class Speaker:
    """The Voice port: opens a Speech per command."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        showing: Callable[[RoomId], Showing] = lambda _: Showing(),
        instance: InstanceName | None = None,
    ) -> None:
        """`showing` says how a room wants its answers; `instance` is what other agents know us by."""
        self._outbox = outbox
        self._clock = clock
        self._showing = showing
        self._instance = instance

    def open(self, command: Command) -> Speech:
        """A sink whose messages answer `command`."""
        showing = self._showing(command.room)
        return Speech(command, outbox=self._outbox, clock=self._clock, showing=showing, instance=self._instance)
