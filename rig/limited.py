"""A daemon on a homeserver with the rate limits that Synapse ships with, and a person whom they do not concern."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rig.conversation import Message
from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver
from rig.matrix_client import MatrixUser
from rig.meter import Meter
from rig.model import Model
from rig.people import people
from rig.script import Step, script

BURST, SECONDS_PER_EVENT = 10, 5.0
"""What the homeserver allows: so many at once, then one in so many seconds."""
FOOTER = " · session "


@dataclass(slots=True)
class Limited:
    """Who is there."""

    anna: MatrixUser
    account: Account
    rooms: list[str]
    daemon: Daemon
    meter: Meter

    def answers(self, room: str) -> list[Message]:
        """Finished answers of a room, in order."""
        return [message for message in self.anna.view(room) if self._is_final(message)]

    def _is_final(self, message: Message) -> bool:
        return message.sender == self.account.user_id and FOOTER in message.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of `ask_all`."""

    answers: int
    """Those that arrived whole and in order."""
    asked: int
    wall: float
    """Seconds from the first question to the last answer."""
    bound: float
    """1.2 times what the turns or the limit take, whichever is longer."""
    refusals: Sequence[float]
    """Seconds after the first question."""
    sends: int

    @property
    def per_minute(self) -> float:
        """Refusals in a minute, after the first one."""
        minutes = (self.wall - self.refusals[0]) / 60 if self.refusals else 0
        return (len(self.refusals) - 1) / minutes if minutes > 0 else 0.0


@asynccontextmanager
async def limited(homeserver: Homeserver, model: Model, folder: Path, *, rooms: int) -> AsyncGenerator[Limited, None]:
    """Everybody is in the rooms, and nobody has used anything of the limit yet. The homeserver must have been started
    with its limits."""
    admin, anna, bot = homeserver.register("admin", admin=True), homeserver.register("anna"), homeserver.register("bot")
    path = f"/_synapse/admin/v1/users/{quote(anna.user_id)}/override_ratelimit"
    nothing = {"messages_per_second": 0, "burst_count": 0}
    await asyncio.to_thread(homeserver.request, "POST", path, nothing, token=admin.access_token)
    async with people(homeserver) as present:
        owner = await present.play(anna)
        ids = [await owner.create_room(bot.user_id) for _ in range(rooms)]
    for room in ids:
        join = f"/_matrix/client/v3/join/{quote(room)}"
        await asyncio.to_thread(homeserver.request, "POST", join, {}, token=bot.access_token)
    await asyncio.to_thread(homeserver.restart)  # it keeps its counts in memory
    async with people(homeserver) as present, Meter(homeserver.port) as meter:
        names = [{"id": room, "name": f"room{index}"} for index, room in enumerate(ids)]
        daemon = Daemon(
            folder, meter.url, bot, names, model_url=model.url, users=[anna.user_id], max_parallel_turns=rooms
        )
        async with daemon:
            yield Limited(await present.play(anna), bot, ids, daemon, meter)


async def ask_all(house: Limited, *, turns: int, seconds: float, patience: float) -> Outcome:
    """Ask so many questions in every room at once, each answered in pieces over `seconds`."""
    pieces = max(1, round(seconds * 10))
    begun = time.monotonic()
    for turn in range(turns):
        for room in house.rooms:
            words = "".join(f"t{turn}w{number} " for number in range(pieces)) + f"end{turn}."
            step = Step(text=words, chunk=len(words) // pieces + 1, delay=seconds / pieces)
            await house.anna.send(room, script(f"turn {turn}", step))

    def all_there() -> bool:
        return all(len(house.answers(room)) >= turns for room in house.rooms)

    await house.anna.until(all_there, timeout=patience, what="all answers")
    wall = time.monotonic() - begun
    finals = turns * len(house.rooms)
    return Outcome(
        answers=sum(
            _is_whole(message.body, turn, pieces)
            for room in house.rooms
            for turn, message in enumerate(house.answers(room))
        ),
        asked=finals,
        wall=wall,
        bound=1.2 * max(turns * seconds, (finals - BURST) * SECONDS_PER_EVENT),
        refusals=[at - begun for at in house.meter.refusals() if at >= begun],
        sends=sum(at >= begun for at in house.meter.sends()),
    )


def _is_whole(body: str, turn: int, pieces: int) -> bool:
    return "".join(f"t{turn}w{number} " for number in range(pieces)) + f"end{turn}." in body
