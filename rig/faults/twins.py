"""Two daemons on one account."""

import asyncio
from contextlib import suppress

from rig.faults.lane import Lane
from rig.faults.victim import Victim

REFUSED = 4
"""The exit code of a daemon that finds the account taken."""
REFUSE_WITHIN = 30.0
TOGETHER = 3.0
"""Seconds for which both run when the second one is not refused, so that the oracle sees what comes of it."""


class Twins:
    """Starts a second daemon with the same account and another data_dir, while the first one works.

    Attacks T: one account has one owner, so the second one ends with exit code 4, and nothing runs twice.
    """

    name = "twins"
    group = "twins"
    planned = 10
    only_full = False

    async def strike(self, lane: Lane) -> bool:
        """Start the second one, and see it end."""
        await lane.victim.launch_and_wait()
        await lane.typist.until_busy()
        twin = Victim(
            lane.folder / "twin",
            lane.proxy.url,
            lane.victim.account,
            lane.rooms,
            user=lane.anna.id,
            package=lane.victim.package,
            run_log=lane.victim.run_log,
        )
        await twin.launch()
        try:
            code = await twin.wait(REFUSE_WITHIN)
        except AssertionError:
            code = None
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(TOGETHER):
                    await twin.wait(TOGETHER * 2)
            if twin.is_alive:
                await twin.murder()
        if code != REFUSED:
            ended = "went on" if code is None else f"ended with exit code {code}"
            lane.complain("T", f"a second daemon on the same account {ended} instead of ending with {REFUSED}")
        return True

    def hindrance(self) -> str:
        """It can be done everywhere."""
        return ""
