"""The sync loop: events and the token that covers them are committed before anything is done with them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.health import SyncHealth
from aiagentchat.core.instances import Heard
from aiagentchat.core.messages import Receipt
from aiagentchat.core.ports.matrix import SyncBatch
from aiagentchat.receive.catch_up import CatchUp, Tools
from aiagentchat.receive.intake import keep

TOKEN_REFUSALS = 3
"""So many refusals in a row are about our token: a homeserver that was restored or replaced does not know it."""

log = structlog.get_logger(__name__)


class Receiver:
    """Fills the inbox."""

    def __init__(
        self,
        tools: Tools,
        *,
        timeout: Callable[[], float],
        alive_at: Callable[[], Awaitable[int | None]],
        on_owner: Callable[[str | None], None],
        on_receipts: Callable[[Sequence[Receipt]], Awaitable[None]] | None = None,
        on_instances: Callable[[Heard, int | None], None] = lambda _, __: None,
    ) -> None:
        """`timeout`: seconds that a sync may wait for news.

        `alive_at` is asked once, at the beginning, when (milliseconds) a daemon on this ledger was last known to live.
        `on_owner` is told, before anything of a batch is taken in, whom the batch names as the account's owner, if it
        does; what it raises ends `run`. `on_receipts` is told how far others have read in our rooms: for every batch
        before the token is committed, so that no crash loses it, and again after what came with it. `on_instances` is
        told what every batch tells of the registry room, and the homeserver's clock.
        """
        self._homeserver = tools.homeserver
        self._inbox = tools.inbox
        self._rules = tools.rules
        self._clock = tools.clock
        self._random = tools.random
        self._timeout = timeout
        self._on_owner = on_owner
        self._on_receipts = on_receipts
        self._on_instances = on_instances
        self._alive_at = alive_at
        self._catch_up = CatchUp(tools)
        self._heard_at: float | None = None
        self.heard_since: float | None = None
        """When (monotonic seconds) the first sync was; None before it."""
        self._failures = 0
        self._refusals = 0
        self._restarts = 0

    def health(self) -> SyncHealth:
        """How the hearing is."""
        return SyncHealth(heard_at=self._heard_at, failures=self._failures, restarts=self._restarts)

    async def run(self) -> None:
        """Serve until cancelled. Raises (in a group) LoginFailed when the homeserver does not know us any more."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="listen")
            group.create_task(self._catch_up.run(), name="catch up")

    async def _listen(self) -> None:
        since = await self._inbox.token()
        is_first, is_later_life = since is None, since is not None
        self._catch_up.heard_until = await self._alive_at() or 0
        while True:
            try:
                batch = await self._homeserver.sync(since, timeout=self._timeout())
            except (Unreachable, Refused, RateLimited) as error:
                if self._is_about(since, error):
                    since = None
                await self._back_off(error)
                continue
            self._note_success()
            self._on_owner(batch.owner)
            self._on_instances(batch.instances, batch.now)
            if is_first:
                await self._ignore(batch)
            else:
                await self._note_receipts(batch)
                await self._catch_up.take_in(batch, since)
                await self._note_receipts(batch)
            if is_later_life:
                # The full state: whether we are there, whatever became of the event that told of it.
                await self._inbox.entered(batch.joined)
                log.info("sync.resumed", rooms=len(batch.joined), events=len(batch.events))
            since, is_first, is_later_life = batch.token, False, False

    async def _ignore(self, batch: SyncBatch) -> None:
        """Before an account's first sync nothing was said to it."""
        kept = keep(batch.events, self._rules, first=True)
        await self._inbox.take_in(batch.token, kept, self._clock.now_ms())
        self._catch_up.note(batch)
        log.info("sync.first", rooms=len(batch.joined), ignored=len(batch.events) - len(kept))

    async def _note_receipts(self, batch: SyncBatch) -> None:
        known = [receipt for receipt in batch.receipts if self._rules.is_configured(receipt.room)]
        if known and self._on_receipts is not None:
            await self._on_receipts(known)

    def _note_success(self) -> None:
        self._heard_at = self._clock.monotonic()
        if self.heard_since is None:
            self.heard_since = self._heard_at
        if self._failures:
            log.info("sync.recovered", after_failures=self._failures)
            self._restarts += 1
        self._failures = self._refusals = 0

    def _is_about(self, token: str | None, error: Exception) -> bool:
        """Whether it is our token that the homeserver does not take: then we do without, and know events by their ids.

        The ledger keeps the token until another one is committed.
        """
        if token is None or not isinstance(error, Refused):
            return False
        self._refusals += 1
        if self._refusals < TOKEN_REFUSALS:
            return False
        log.error("sync.token_refused", error=str(error), refusals=self._refusals)
        return True

    async def _back_off(self, error: Unreachable | Refused | RateLimited) -> None:
        self._failures += 1
        wait = delay(self._failures, self._random)
        if not isinstance(error, Refused):
            wait = max(wait, error.retry_after)
        log.warning("sync.failed", error=str(error), failures=self._failures, wait_s=round(wait, 1))
        await self._clock.sleep(wait)
