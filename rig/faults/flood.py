"""More messages than a queue holds."""

from contextlib import suppress

from rig.faults.lane import Lane
from rig.faults.prompts import prompt
from rig.faults.victim import MAX_QUEUE

BEYOND = 10
"""So many more than the queue holds."""
WITHIN = 60.0
WORDS = 3


class Flood:
    """Types more into one room than its queue holds, while a turn there waits, and kills the daemon in the end.

    Attacks B: what does not fit is refused, once, in the room, and is not run; what fits is answered, also after a
    crash; and A, as the other rooms are typed into all the while.
    """

    name = "flood"
    group = "flood"
    planned = 10
    only_full = False

    async def strike(self, lane: Lane) -> bool:
        """Flood one room."""
        await lane.victim.launch_and_wait()
        room, before = lane.random.choice(lane.rooms), lane.victim.lines_so_far
        gate = lane.victim.run_log.parent / f"gate-{lane.victim.lives}"
        await lane.typist.type(room, lambda name: prompt(name, WORDS, gate=str(gate)))
        for _ in range(MAX_QUEUE + BEYOND):
            await lane.typist.type(room, lambda name: prompt(name, WORDS))
        with suppress(TimeoutError, AssertionError):  # a daemon that does not get there is the oracle's
            await lane.victim.until_lines("event.decided", MAX_QUEUE + BEYOND, skip=before, within=WITHIN, room=room)
        await lane.victim.murder()
        gate.touch()
        return True

    def hindrance(self) -> str:
        """It can be done everywhere."""
        return ""
