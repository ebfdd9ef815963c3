"""`make gateway-load`: many callers send through the gateway, while the daemon is killed again and again.

Each caller sends one message after the other, each with a key of its own, and sends it again until it is accepted. In
the end every one must be in the room exactly once, those of each caller in the order in which it sent them.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from rig.daemon import Daemon
from rig.gateway import GatewayClient, free_port, gateway_client
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import people as invite_people
from rig.unprivileged import own

DRAIN_SECONDS = 1800.0
LOOK_SECONDS = 0.5
TELL_SECONDS = 15.0
"""How often it is said how many are still on their way."""
NOBODY = "http://127.0.0.1:9"
"""Where the model would be: nothing is asked of it."""
console = Console()


def say(text: str) -> None:
    """Progress, where it does not disturb the result."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Sent:
    """What was accepted, in the order in which each caller was told so."""

    by_caller: dict[str, list[str]] = field(default_factory=dict)
    kills: int = 0

    @property
    def count(self) -> int:
        """Of all."""
        return sum(map(len, self.by_caller.values()))


def callers(count: int, room: str) -> dict[str, object]:
    """What config.yaml says of them."""
    return {f"caller{number}": {"send": [room]} for number in range(count)}


async def send_all(daemon: Daemon, room: str, *, names: Sequence[str], calls: int, kills: int) -> Sent:
    """Send `calls` messages in all, and kill the daemon so often meanwhile. When this returns, all are accepted."""
    sent = Sent({name: [] for name in names})
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(gateway_client(daemon, f"callers/{name}.token")) for name in names
        }
        async with asyncio.TaskGroup() as group:
            for name, client in clients.items():
                group.create_task(_send(client, name, room, calls // len(names), sent), name=name)
            group.create_task(_kill(daemon, sent, calls, kills), name="killer")
    return sent


async def _send(client: GatewayClient, name: str, room: str, calls: int, sent: Sent) -> None:
    for number in range(calls):
        body = f"{name} {number}"
        await client.send_surely(room, body, f"{name}-{number}")
        sent.by_caller[name].append(body)


async def _kill(daemon: Daemon, sent: Sent, calls: int, kills: int) -> None:
    """Each time another part of them was accepted. The next life begins at once."""
    for number in range(1, kills + 1):
        while sent.count < calls * number // (kills + 1):  # noqa: ASYNC110 - who sends has no time to tell
            await asyncio.sleep(0.01)
        await daemon.kill()
        sent.kills += 1
        await daemon.start(until="gateway.open")
        say(f"{sent.count:,} of {calls:,} accepted, killed {number} of {kills} times")


async def settled(client: GatewayClient, *, timeout: float = DRAIN_SECONDS) -> None:
    """Until the outbox is empty."""
    told = time.monotonic()
    async with asyncio.timeout(timeout):
        while waiting := (await client.ask("GET", "/status"))["parcels_waiting"]:
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                say(f"all accepted; {waiting:,} not in the room yet")
            await asyncio.sleep(LOOK_SECONDS)


def judge(sent: Sent, timeline: Sequence[Mapping[str, object]], sender: str) -> list[str]:
    """What is not as it must be; empty: all is well."""
    bodies = [
        str(content.get("body", ""))
        for event in timeline
        if event["type"] == "m.room.message"
        and event["sender"] == sender
        and isinstance(content := event["content"], dict)
    ]
    counted = Counter(bodies)
    wrong = [f"{count} times in the room: {body}" for body, count in counted.items() if count > 1]
    for name, accepted in sent.by_caller.items():
        seen = [body for body in bodies if body.rpartition(" ")[0] == name]
        wrong += [f"accepted, and not in the room: {body}" for body in accepted if body not in counted]
        if seen != accepted and not wrong:
            wrong.append(f"{name}: in another order than it sent")
    return wrong


def main(calls: int, count: int, kills: int) -> int:
    """Do it, and say what came of it."""
    with tempfile.TemporaryDirectory(prefix="gateway-load.", dir="/var/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        with Homeserver(place / "homeserver") as homeserver:
            return asyncio.run(_load(own_folder(place / "daemon"), homeserver, calls, count, kills))


def own_folder(folder: Path) -> Path:
    """A folder for a daemon."""
    folder.mkdir()
    own(folder)
    return folder


async def _load(folder: Path, homeserver: Homeserver, calls: int, count: int, kills: int) -> int:
    async with invite_people(homeserver) as people:
        return await _watched(folder, await people.person(), homeserver, (calls, count, kills))


async def _watched(folder: Path, anna: MatrixUser, homeserver: Homeserver, wish: tuple[int, int, int]) -> int:
    calls, count, kills = wish
    account = homeserver.register("claude")
    room = await anna.create_room(account.user_id)
    gateway = {"enabled": True, "port": free_port(), "callers": callers(count, "load")}
    daemon = Daemon(
        folder,
        homeserver.url,
        account,
        [{"id": room, "name": "load"}],
        model_url=NOBODY,
        users=[anna.id],
        gateway=gateway,
    )
    async with daemon:
        await daemon.until_line("gateway.open")
        begun = time.monotonic()
        sent = await send_all(daemon, room, names=list(callers(count, "load")), calls=calls, kills=kills)
        accepted = time.monotonic() - begun
        async with gateway_client(daemon) as client:
            await settled(client)
        all_in = time.monotonic() - begun
        wrong = judge(sent, await anna.history(room), account.user_id)
    console.print(
        f"{sent.count:,} messages of {count} callers, {sent.kills} kills, load {os.getloadavg()[0]:.1f}: accepted in "
        f"{accepted:.0f} s, in the room in {all_in:.0f} s; {len(wrong)} wrong"
    )
    for line in wrong[:20]:
        console.print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--callers", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    sys.exit(main(given.calls, given.callers, given.kills))
