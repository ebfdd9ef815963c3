"""The homeserver dies and comes back."""

import asyncio

from rig.faults.lane import Lane

LONGEST = 3.0
"""Seconds for which it is away, beside the time that it takes to start."""


class Outage:
    """Kills the homeserver (SIGKILL) in the middle of everything and starts it again; every third time the daemon is
    killed as well and comes back first.

    Attacks L (what was typed and what was answered around it), R (what was sent and not acknowledged).
    """

    name = "homeserver killed"
    group = "homeserver"
    only_full = False
    planned = 50

    async def strike(self, lane: Lane) -> bool:
        """Kill it once."""
        await lane.serve()
        await lane.typist.until_busy()
        await asyncio.sleep(lane.random.uniform(0, 1.5))
        at_stake = lane.typist.open()
        await lane.kill_homeserver()
        if lane.random.random() < 1 / 3:
            await lane.victim.murder()
            await lane.victim.launch()
        await asyncio.sleep(lane.random.uniform(0, LONGEST))
        await asyncio.to_thread(lane.homeserver.start)
        return bool(at_stake)

    def hindrance(self) -> str:
        """It can be done everywhere."""
        return ""
