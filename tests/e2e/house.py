"""A daemon with a person and rooms, as most stories begin."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiagentchat.send.pacer import PROOF
from rig.conversation import Message
from rig.daemon import Daemon
from rig.homeserver import Account
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import own

WITHIN_REACH = "within-reach"
OVER = ("✅", "❌", "⏱️", "🛑", "⚠️")
"""The reactions that end a command."""


@dataclass(slots=True)
class House:
    """Anna, the daemon's account, and the rooms that they share."""

    anna: MatrixUser
    account: Account
    rooms: list[str]
    daemon: Daemon
    model: Model

    @property
    def room(self) -> str:
        """The first room."""
        return self.rooms[0]

    def workspace(self, index: int = 0) -> Path:
        """The working directory of a room."""
        return self.daemon.workspaces / f"room{index}"

    async def settle_in(self) -> None:
        """Until the daemon has joined every room."""
        for room in self.rooms:
            await self.anna.until(
                lambda room=room: any(  # type: ignore[misc]
                    event["type"] == "m.room.member"
                    and event["state_key"] == self.account.user_id
                    and event["content"]["membership"] == "join"
                    for event in self.anna.events(room)
                ),
                what="the daemon to join",
            )

    async def prove(self) -> None:
        """Let the daemon learn that this homeserver has no limit. Until then what is nice to have may come late."""
        for _ in range(PROOF):
            await self.ask("/version")
        await self.daemon.until_line("outbox.rate_proven")

    async def ask(self, text: str, *, room: str = "") -> str:
        """Type a message; its event id."""
        return await self.anna.send(room or self.room, text)

    async def ended(self, command: str, *, room: str = "", timeout: float = 60) -> str:
        """Wait until a command is over, and return the reaction that says how."""
        room = room or self.room

        def mark() -> str:
            reactions = self.anna.reactions(room, command)
            return next((key for key in OVER if self.account.user_id in reactions.get(key, ())), "")

        return await self.anna.until(mark, timeout=timeout, what=f"the end of {command}")

    async def answer(self, command: str, *, room: str = "", timeout: float = 60) -> str:
        """Wait for the end of a command and return all that was said in answer to it, as one text."""
        room = room or self.room
        await self.ended(command, room=room, timeout=timeout)
        view = self.anna.view(room)
        start = next(index for index, message in enumerate(view) if message.id == command)
        return "\n\n".join(message.body for message in view[start + 1 :] if message.sender == self.account.user_id)

    async def shell(self, command: str, *, room: str = "", timeout: float = 60) -> str:
        """Have the agent run a shell command; what the agent saw of it. For rooms that allow Bash."""
        mark = f"run {secrets.token_hex(8)}"
        use = Step(tool="Bash", input={"command": command})
        asked = await self.ask(script(mark, use, Step(text="Done.")), room=room)
        end = await self.ended(asked, room=room, timeout=timeout)
        assert end == "✅", self.daemon.tail()
        return self.model.requests(mark)[-1].asked.results[-1].text

    def told(self, text: str, *, room: str = "") -> int:
        """How many messages of the daemon hold `text` so far."""
        said = (message for message in self.anna.view(room or self.room) if message.sender == self.account.user_id)
        return sum(text in message.body for message in said)

    async def question(self) -> Message:
        """Wait for a question for approval."""
        return await self.anna.until_message(self.room, "✅ allows it once", sender=self.account.user_id)

    def prompts(self, text: str) -> list[str]:
        """Every request to the model that holds `text`."""
        return [request.raw for request in self.model.requests(text)]


def within_reach(folder: Path) -> Path:
    """A folder in `folder` that what a room runs can use, too: `move_in` mounts it, where it was made before."""
    shared = folder / WITHIN_REACH
    shared.mkdir(exist_ok=True)
    return shared


def pipe_within_reach(folder: Path, name: str = "started") -> Path:
    """A pipe into which a tool writes when it runs: reading it waits for that."""
    pipe = within_reach(folder) / name
    os.mkfifo(pipe)
    own(folder)
    return pipe


@asynccontextmanager
async def move_in(
    people: People, model: Model, folder: Path, *, rooms: int = 1, start: bool = True, **settings: Any
) -> AsyncIterator[House]:
    """A house; `settings` go into config.yaml, `room` among them into every room, `environ` into the environment.

    `anna` owns its rooms, which have the room version `version`: by default somebody at our own client. With `as_root`
    its daemon stays root, for a folder that other users can go through (`crossroads`).
    """
    anna = settings.pop("anna", None) or await people.person()
    version = settings.pop("version", "")
    account = people.account()
    room_settings = settings.pop("room", {})
    if (shared := folder / WITHIN_REACH).exists():
        room_settings = {"mounts": [{"path": str(shared), "mode": "rw"}], **room_settings}
    as_root = settings.pop("as_root", False)
    ids = [await people.room(anna, account, version=version) for _ in range(rooms)]
    daemon = Daemon(
        folder,
        people.homeserver.url,
        account,
        [{"id": room, "name": f"room{index}", **room_settings} for index, room in enumerate(ids)],
        model_url=model.url,
        users=[anna.id],
        **settings,
    )
    if as_root:
        daemon.stay_root()
        first = 300_000 + 16 * secrets.randbelow(2**24)  # users that no other test has, on a machine that all share
        daemon.settings["room_uids"] = f"{first}-{first + 15}"
    house = House(anna, account, ids, daemon, model)
    if not start:
        yield house
        return
    async with daemon:
        await house.settle_in()
        yield house
