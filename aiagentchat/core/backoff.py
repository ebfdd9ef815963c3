"""How long to wait before trying again. Pure: the randomness is passed in."""

from aiagentchat.core.ports.clock import Random

FIRST_SECONDS = 0.5
MOST_SECONDS = 60.0


def delay(failures: int, random: Random) -> float:
    """Seconds to wait after so many failures in a row: doubling up to a minute, with the lower half random.

    Without the jitter every client of a homeserver that comes back would ask in the same moment.
    """
    ceiling = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    return ceiling * (0.5 + random() / 2)
