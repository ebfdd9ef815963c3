"""What it takes to say who is there: from memory, beside asking the homeserver each time."""

import json
import time
from collections.abc import Sequence

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.ids import InstanceName, RoomId, UserId
from aiagentchat.core.instances import INSTANCE, Instance, InstanceKind, state_key, written
from aiagentchat.matrix.instances import heard
from aiagentchat.matrix.reading import Breath
from aiagentchat.registry.book import Book
from aiagentchat.render.registry_words import instances
from aiagentchat.store.bell import EventBell
from rig.people import People

INSTANCES = 100
FLOOR_ASKED = 20
ASKED = 200

Pair = tuple[float, float]


async def measure(people: People) -> dict[str, Pair]:
    """Milliseconds for what /who says of a hundred instances; the floor asks for the state of their room."""
    anna = await people.person()
    room, me = await anna.create_room(), UserId(anna.id)
    for number in range(INSTANCES):
        key = state_key(me, InstanceName(f"i{number}")).replace("/", "%2F")
        await anna.request("PUT", f"/rooms/{room}/state/{INSTANCE}/{key}", written(_entry(me, f"i{number}")))
    types = {"types": [INSTANCE]}
    asked = json.dumps({"room": {"rooms": [room], "state": types, "timeline": {**types, "limit": 1}}})
    own = _entry(UserId("@bench:localhost"), "bench")
    clock, bell = SystemClock(), EventBell()
    floor: list[float] = []
    for _ in range(FLOOR_ASKED):
        begun = time.perf_counter()
        answer = await anna.request("GET", "/sync", timeout="0", filter=asked)
        book = Book(lambda: own, clock, bell)
        book.take(await heard(answer["rooms"], RoomId(room), Breath()), clock.now_ms())
        instances(book.entries(), book.own, book.now())
        floor.append(time.perf_counter() - begun)
    assert len(book.entries()) == INSTANCES + 1
    ours: list[float] = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        instances(book.entries(), book.own, book.now())
        ours.append(time.perf_counter() - begun)
    return {f"ms {name}": (_pick(floor, share), _pick(ours, share)) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _entry(user: UserId, name: str) -> Instance:
    return Instance(user=user, name=InstanceName(name), kind=InstanceKind.DAEMON, host="build", timed=False)


def _pick(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] * 1000
