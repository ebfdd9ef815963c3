"""`kill -9` of the daemon."""

import asyncio
from collections.abc import Awaitable, Callable

from rig.faults import proxy, strace
from rig.faults.lane import Lane

MOMENT_WITHIN = 6.0
"""Seconds that a moment is waited for; then any moment will do."""

Moment = Callable[[Lane, int], Awaitable[None]]


class Kill:
    """Kills the daemon (SIGKILL) in a moment of its life, while commands run and wait, and starts it again.

    Attacks L (what was taken in but not finished), T (what ran is not run again), R (what was on its way into a room).
    """

    group = "kill -9"
    only_full = False

    def __init__(
        self, when: str, moment: Moment, planned: int, *, fresh: bool = False, needs_strace: bool = False
    ) -> None:
        self.name = f"kill -9: {when}"
        self.planned = planned
        self._moment = moment
        self._fresh = fresh
        self._needs_strace = needs_strace

    async def strike(self, lane: Lane) -> bool:
        """Wait for the moment in the present life or the next one, and kill it."""
        await lane.typist.until_busy()
        if self._fresh:  # the moment comes once in a life, at its start
            await lane.victim.murder()
        before = await lane.victim.launch()
        try:
            async with asyncio.timeout(MOMENT_WITHIN):
                await self._moment(lane, before)
            came = True
        except (TimeoutError, AssertionError):  # then it is killed all the same, and not counted
            came = False
        at_stake = lane.typist.open()
        await lane.victim.murder()
        lane.proxy.disarm()
        return came and bool(at_stake)

    def hindrance(self) -> str:
        """One of the moments needs strace."""
        return strace.hindrance() if self._needs_strace else ""


async def _any_time(lane: Lane, _: int) -> None:
    await asyncio.sleep(lane.random.uniform(0, 2.5))


async def _while_it_starts(lane: Lane, _: int) -> None:
    await asyncio.sleep(lane.random.uniform(0, 1.0))


async def _after(lane: Lane, before: int, line: str, most: float) -> None:
    await lane.victim.until_line(line, skip=before, timeout=MOMENT_WITHIN)
    await asyncio.sleep(lane.random.uniform(0, most))


async def _in_sync(lane: Lane, before: int) -> None:
    await _after(lane, before, lane.random.choice(["sync.resumed", "sync.batch", "event.decided"]), 0.03)


async def _in_a_stream(lane: Lane, before: int) -> None:
    await _after(lane, before, "turn.started", 1.5)


async def _after_a_turn(lane: Lane, before: int) -> None:
    await _after(lane, before, "turn.ended", 0.02)


async def _while_it_reports(lane: Lane, before: int) -> None:
    """What the last life left unfinished is reported at the start of this one."""
    await _after(lane, before, "command.interrupted", 0.02)


async def _before_the_answer_to_a_put(lane: Lane, _: int) -> None:
    strike = lane.proxy.arm(proxy.Kind.HOLD, proxy.is_send)
    await strike.struck.wait()


async def _in_a_transaction(lane: Lane, before: int) -> None:
    """The kernel kills it as it enters one of its next writes to the write-ahead log, or the fsync behind them."""
    await lane.victim.until_line("daemon.ready", skip=before, timeout=MOMENT_WITHIN)
    wal = lane.victim.database.with_name(lane.victim.database.name + "-wal")
    what = f"signal=SIGKILL:when={lane.random.randint(1, 12)}"
    async with strace.injected(lane.victim.pid, [wal], ("pwrite64", "fdatasync"), what):
        await lane.victim.wait(MOMENT_WITHIN)


def kills() -> list[Kill]:
    """A thousand, spread over its life."""
    return [
        Kill("at any time", _any_time, 200),
        Kill("while it starts", _while_it_starts, 200, fresh=True),
        Kill("in a sync", _in_sync, 150, fresh=True),
        Kill("in a stream", _in_a_stream, 150),
        Kill("right after a turn", _after_a_turn, 100),
        Kill("while it reports", _while_it_reports, 50, fresh=True),
        Kill("before the answer to a PUT", _before_the_answer_to_a_put, 100),
        Kill("in a transaction", _in_a_transaction, 50, needs_strace=True),
    ]
