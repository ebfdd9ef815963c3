"""Raids from a process of their own, so that a test can choose who starts them: prints what each attack has got.

    python -m tests.process.raiding none strict     # one line of JSON for each: {"room.read": "ok", …}

For `none` it says of each attack whether it has worked (`worked`) or why not; for the others it says the verdict.
"""

import asyncio
import json
import os
import sys

from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.assault import assault
from aiagentchat.doctor.attacks import RAIDED
from aiagentchat.doctor.judge import Sighting, has_worked, judge
from aiagentchat.doctor.lab import NOBODY_ELSE, Users

ROOMS = Users(attacker=265_535, victim=265_534)
"""Whom the two rooms become when root starts them."""


def users_for(isolation: Isolation) -> Users:
    """As the doctor chooses them."""
    return ROOMS if os.geteuid() == 0 and isolation in {Isolation.STRICT, Isolation.USERS} else NOBODY_ELSE


def worked(sighting: Sighting) -> dict[str, str]:
    """Of each attack, whether it has worked, or why not."""
    return {
        attack.id: "worked" if has_worked(attack, sighting) else sighting.reports[attack.id].error for attack in RAIDED
    }


async def verdicts(isolation: Isolation, bare: Sighting) -> dict[str, str]:
    """Of each attack."""
    inside = await assault(isolation, RAIDED, users=users_for(isolation))
    return {row.id: str(row.verdict) for row in (judge(attack, inside, bare) for attack in RAIDED)}


async def _main(names: list[str]) -> None:
    bare = await assault(Isolation.NONE, RAIDED)
    for isolation in map(Isolation, names):
        is_bare = isolation is Isolation.NONE
        said = worked(bare) if is_bare else await verdicts(isolation, bare)
        sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
