"""The sync loop: events and the token that covers them are committed together, before anything is done with them."""

from collections.abc import Callable

import structlog

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.ports import Clock, Homeserver, Inbox, Random, SyncBatch
from aiagentchat.receive.intake import Rules, keep

log = structlog.get_logger(__name__)


class Receiver:
    """Fills the inbox."""

    def __init__(
        self,
        *,
        homeserver: Homeserver,
        inbox: Inbox,
        rules: Rules,
        clock: Clock,
        random: Random,
        timeout: Callable[[], float],
    ) -> None:
        self._homeserver = homeserver
        self._inbox = inbox
        self._rules = rules
        self._clock = clock
        self._random = random
        self._timeout = timeout
        self._failures = 0

    async def run(self) -> None:
        """Serve until cancelled. Raises LoginFailed when the homeserver does not know us any more."""
        token = await self._inbox.token()
        is_later_life = token is not None
        while True:
            try:
                batch = await self._homeserver.sync(token, timeout=self._timeout())
            except (Unreachable, Refused, RateLimited) as error:
                await self._back_off(error)
                continue
            if self._failures:
                log.info("sync.recovered", after_failures=self._failures)
                self._failures = 0
            await self._take_in(batch, first=token is None)
            if is_later_life:
                log.info("sync.resumed", rooms=len(batch.joined), events=len(batch.events))
                is_later_life = False
            token = batch.token

    async def _take_in(self, batch: SyncBatch, *, first: bool) -> None:
        kept = keep(batch.events, self._rules, first=first)
        new = await self._inbox.take_in(batch.token, kept, self._clock.now_ms())
        if first:
            log.info("sync.first", rooms=len(batch.joined), ignored=len(batch.events) - len(kept))
        elif batch.events:
            log.info("sync.batch", events=len(batch.events), new=new)
        for room in () if first else batch.gaps:
            log.warning("sync.gap", room=room)
        for room in batch.left:
            log.warning("sync.left", room=room)

    async def _back_off(self, error: Unreachable | Refused | RateLimited) -> None:
        self._failures += 1
        wait = delay(self._failures, self._random)
        if isinstance(error, RateLimited):
            wait = max(wait, error.retry_after)
        log.warning("sync.failed", error=str(error), failures=self._failures, wait_s=round(wait, 1))
        await self._clock.sleep(wait)
