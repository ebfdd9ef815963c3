"""The heartbeat: this daemon says in the registry room that it is there, and the sessions that speak through it.

Where the homeserver puts something into a room by itself after a while (MSC4140), an `offline` is laid there and put
off by each heartbeat: while all is well nothing is said in the room, and after a `kill -9` the homeserver says it for
us. Elsewhere each heartbeat is a state event, whose age tells.

Sessions have no heartbeat: they are there while their daemon lives (`core.instances.is_there`).

An `offline` that was lost, or an entry of ours that says something else than we do, is made again. Nothing here stops
anything else: while the room does not take what we say, it is tried again.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from aiagentchat.core.backoff import delay as backoff
from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import DelayId
from aiagentchat.core.instances import (
    OFFLINE,
    TAKEN_BACK,
    Heard,
    Instance,
    Pace,
    Told,
    place,
    state_key,
    written,
)
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Bell, Clock, Random
from aiagentchat.core.ports.registry import RegistryRoom
from aiagentchat.registry.book import Book

WITHIN_SECONDS = 20.0
"""How long one round of saying what there is to say may take."""
AGAIN_SECONDS = 10.0
"""Our own entry is not corrected more often than this, whatever others do to it."""
SESSION_SECONDS = 2.0
"""Between two entries of sessions: they share their rate limit with the answers."""
LEAVE_SECONDS = 1.0
"""How long saying `offline` may take when the daemon ends."""

log = structlog.get_logger(__name__)


class Presence:
    """Says who is here."""

    def __init__(
        self,
        room: RegistryRoom,
        book: Book,
        own: Callable[[], Instance],
        *,
        clock: Clock,
        bell: Bell,
        random: Random,
        pace: Pace | None = None,
    ) -> None:
        """`own` as the book has it; `bell` is the one that the book rings."""
        self._room = room
        self._book = book
        self._own = own
        self._clock = clock
        self._bell = bell
        self._random = random
        self._pace = pace or Pace()
        self._is_in = False
        self._is_registered = False
        """Whether it was said to the operator that we are."""
        self._may_stand = False
        """Whether the room may say that we are there."""
        self._knows_members = False
        self._may_delay: bool | None = None
        """Whether the homeserver says `offline` for us; None while it has not been asked."""
        self._delay: DelayId | None = None
        self._said: dict[str, Content] = {}
        """What stands in the room, by state key, as far as we know."""
        self._beats = 0
        self._due = 0.0
        """When (monotonic seconds) the next heartbeat is."""
        self._beaten_at = -math.inf
        self._session_due = 0.0
        """When the next session may be told of."""
        self._put_back: dict[str, float] = {}
        """Sessions that were refused, and when each may be told of again."""
        self._failures = 0
        self._trouble = ""
        """What was last complained about."""

    # --- what is heard

    def hear(self, heard: Heard, now: int | None) -> None:
        """What a sync tells of the room; the book has it afterwards, too."""
        self._book.take(heard, now)
        if heard.has_gap or heard.is_out:
            self._knows_members = False
        if heard.is_out:
            self._is_in = self._is_registered = self._may_stand = False
            self._said.clear()
        elif heard.moved.get(self._own().user) and not self._is_in:
            self._due = min(self._due, self._clock.monotonic())
            self._bell.ring()
        mine = [told for told in heard.told if (found := place(told.key)) and found.user == self._own().user]
        for key in {told.key: told for told in mine if not self._is_as_said(told)}:
            self._said.pop(key, None)
            if key == self._key:
                self._due = min(self._due, max(self._clock.monotonic(), self._beaten_at + AGAIN_SECONDS))
        if mine or heard.has_gap:
            self._bell.ring()

    def changed(self) -> None:
        """What we say of ourselves is another thing now."""
        self._due = min(self._due, self._clock.monotonic())
        self._bell.ring()

    def _is_as_said(self, told: Told) -> bool:
        """Whether an entry of our account is one of ours, and says what we have said last."""
        said = self._said.get(told.key)
        if said is None or told.is_forged:
            return False
        if told.entry is None:
            return said == TAKEN_BACK
        return (told.entry.status, told.entry.life) == (said.get("status"), said.get("life", ""))

    # --- what is said

    async def run(self) -> None:
        """Serve until cancelled; then say that we are gone."""
        try:
            while True:
                await self._bell.wait(await self._round())
        finally:
            await self._leave()

    async def _round(self) -> float:
        """Say what there is to say now; in how many seconds there is more."""
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await self._speak()
                wait = await self._tell_one_session()
        except LoginFailed:
            raise
        except Refused as error:
            # Not in the room (any more), or without the power that it takes: an invite or an admin mends that.
            self._is_in = self._is_registered = False
            self._may_stand = self._key in self._said
            if self._is_news(error):
                log.error("registry.refused", error=str(error))  # noqa: TRY400 - no bug, no traceback
            self._due = self._clock.monotonic() + self._pace.heartbeat
        except (MatrixError, TimeoutError) as error:
            self._failures += 1
            wait = backoff(self._failures, self._random)
            if isinstance(error, RateLimited | Unreachable):
                wait = max(wait, error.retry_after)
            if self._is_news(error):
                log.warning("registry.not_told", error=str(error) or type(error).__name__)
            self._due = self._clock.monotonic() + min(wait, self._pace.heartbeat)
        else:
            self._failures, self._trouble = 0, ""
            return min(wait, self._wait)
        return self._wait

    @property
    def _wait(self) -> float:
        return max(0.0, self._due - self._clock.monotonic())

    @property
    def _key(self) -> str:
        own = self._own()
        return state_key(own.user, own.name)

    async def _speak(self) -> None:
        """The heartbeat, if it is time for it."""
        if self._clock.monotonic() < self._due:
            return
        if not self._is_in:
            await self._room.join()
            self._is_in = True
        if self._may_delay is None:
            self._may_delay = await self._room.may_delay(self._pace.delay)
        if self._may_delay:
            self._may_delay = await self._put_off()
        await self._say_online()
        if not self._knows_members:
            self._book.only(await self._room.members())
            self._knows_members = True
        if not self._is_registered:
            log.info("registry.registered", instance=self._own().name, delayed=self._may_delay)
            self._is_registered = True
        self._beaten_at = self._clock.monotonic()
        self._due = self._beaten_at + self._pace.heartbeat

    async def _put_off(self) -> bool:
        """Our end lies ready, as far away as it can; whether the homeserver does that (any more)."""
        if self._delay is not None:
            if await self._room.postpone(self._delay):
                return True
            log.warning("registry.delay_lost")
            self._delay = None
            self._said.pop(self._key, None)  # it may have happened
        # Before we say that we are there: then a crash in between leaves nobody there for ever. What an earlier life
        # has laid there would end this one.
        for old in await self._room.pending(self._key):
            await self._room.cancel(old)
        gone = written(replace(self._own(), status=OFFLINE, timed=False))
        self._delay = await self._room.put_later(self._key, gone, seconds=self._pace.delay)
        return self._delay is not None

    async def _say_online(self) -> None:
        own = replace(self._own(), timed=not self._may_delay)
        if self._may_delay:
            content = written(own)
            if self._said.get(self._key) == content:
                return
        else:
            self._beats += 1
            content = written(own, beat=self._beats)
        self._may_stand = True
        await self._put(self._key, content)

    async def _tell_one_session(self) -> float:
        """Put the entry of one session right, if it is time for that; in how many seconds it is for the next."""
        wanted, now = self._sessions(), self._clock.monotonic()
        self._put_back = {key: due for key, due in self._put_back.items() if due > now and key in wanted}
        wrong = [key for key, content in wanted.items() if self._said.get(key) != content and key not in self._put_back]
        if not wrong or self._key not in self._said:
            return math.inf  # without their daemon nobody believes them
        if now < self._session_due:
            return self._session_due - now
        self._session_due = now + SESSION_SECONDS
        try:
            await self._put(wrong[0], wanted[wrong[0]])
        except Refused as error:  # which may be about this one alone
            log.error("registry.refused", error=str(error))  # noqa: TRY400 - no bug, no traceback
            self._put_back[wrong[0]] = now + self._pace.heartbeat
        return SESSION_SECONDS if len(wrong) > 1 else math.inf

    def _sessions(self) -> Mapping[str, Content]:
        """What must stand in the room of sessions."""
        # Those that we have said to be there, and those of which the room still says it.
        was = {key: TAKEN_BACK for key, content in self._said.items() if key != self._key and content != TAKEN_BACK}
        left = {state_key(entry.user, entry.name): TAKEN_BACK for entry in self._book.left_behind()}
        here = {state_key(entry.user, entry.name): written(entry) for entry in self._book.sessions()}
        return {**was, **left, **here}

    async def _put(self, key: str, content: Content) -> None:
        # Before it is sent: the sync may tell of it before the answer does.
        self._said[key] = content
        try:
            await self._room.put(key, content)
        except BaseException:
            self._said.pop(key, None)  # nobody knows
            raise

    async def _leave(self) -> None:
        """Say that we are gone. Never raises: if it cannot be said, it shows within the TTL.

        The `offline` that lies ready stays where it is: should this one not come through, that one will.
        """
        if not self._may_stand:
            return
        gone = written(replace(self._own(), status=OFFLINE, timed=not self._may_delay))
        try:
            # Not asyncio.timeout: before Python 3.11.3 it does not end as TimeoutError in a task that was cancelled.
            await asyncio.wait_for(self._room.put(self._key, gone), LEAVE_SECONDS)
        except (MatrixError, TimeoutError) as error:
            log.info("registry.not_left", error=str(error) or type(error).__name__)
        else:
            log.info("registry.left")

    def _is_news(self, error: BaseException) -> bool:
        """Whether it was not this that was the matter last: it is tried again for as long as it takes."""
        before, self._trouble = self._trouble, str(error) or type(error).__name__
        return before != self._trouble
