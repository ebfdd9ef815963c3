"""Two daemons with accounts of their own on one homeserver, in one room, with a person who watches.

What is asked of a daemon at its gateway is asked at its operator's socket.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rig.conversation import Message
from rig.daemon import PATIENCE, Daemon
from rig.homeserver import Account
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.unprivileged import own

LOOK_AGAIN = 0.2
"""Seconds until a daemon is asked again."""


@dataclass(slots=True)
class Side:
    """One of the two."""

    name: str
    """What its daemon is called: its instance."""
    account: Account
    daemon: Daemon

    @property
    def address(self) -> str:
        """Whom others write to."""
        return f"{self.account.user_id}/{self.name}"

    async def start(self, *, until: str = "sync.first") -> None:
        """Start its daemon, and wait until it can be asked."""
        before = len(self.daemon.lines())
        await self.daemon.start(until=until)
        await self.daemon.until_line("gateway.open", skip=before)

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """Ask its gateway; what it answers. Raises AssertionError for a refusal."""
        folder = self.daemon.data_dir / "gateway"
        token = (folder / "operator.token").read_text(encoding="ascii").strip()
        connector = aiohttp.UnixConnector(path=str(folder / "operator.sock"))
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as http,
            http.request(method, f"http://localhost{path}", json=body, params=query) as answer,
        ):
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            found: dict[str, Any] = json.loads(text)
            return found

    async def assign(self, room: str, to: "Side", text: str, **more: Any) -> dict[str, Any]:
        """Give a task."""
        return await self.ask("POST", "/tasks", {"room": room, "to": to.address, "text": text, **more})

    async def task(self, room: str, task: str) -> dict[str, Any]:
        """A task, as this side has it; empty: it does not know it."""
        listed = await self.ask("GET", "/tasks", room=room, all="true")
        return next((each for each in listed["tasks"] if each["id"] == task), {})

    async def until_task(
        self, room: str, task: str, condition: Callable[[Mapping[str, Any]], bool], *, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until a task is so."""
        found: dict[str, Any] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not condition(found := await self.task(room, task)):  # noqa: ASYNC110 - asked over HTTP
                    await asyncio.sleep(LOOK_AGAIN)
                return found
        raise AssertionError(f"the task stands at {found} after {timeout:g} s\n{self.daemon.tail()}")


@dataclass(slots=True)
class TwoHouses:
    """Anna, a room, and the two."""

    anna: MatrixUser
    room: str
    a: Side
    b: Side
    model: Model

    def thread(self, root: str) -> list[Message]:
        """What a person sees in the thread, with its first message."""
        return [
            message
            for message in self.anna.view(self.room)
            if message.id == root or (message.first.get("m.relates_to") or {}).get("event_id") == root
        ]

    async def say_in(self, root: str, text: str) -> str:
        """Anna types in the thread; the event's id."""
        relation = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True}
        return await self.anna.send(self.room, {"msgtype": "m.text", "body": text, "m.relates_to": relation})

    async def until_said(self, root: str, text: str, by: Side, *, timeout: float = PATIENCE) -> Message:
        """Wait until somebody says `text` in the thread."""

        def found() -> Message | None:
            said = (each for each in self.thread(root) if each.sender == by.account.user_id)
            return next((each for each in said if text in each.body), None)

        message = await self.anna.until(found, timeout=timeout, what=f"{text!r} of {by.name} in the thread")
        assert message is not None
        return message

    async def settle_in(self, *sides: Side) -> None:
        """Until these have joined the room."""
        for side in sides:
            await self.anna.until(
                lambda side=side: any(  # type: ignore[misc]
                    event["type"] == "m.room.member"
                    and event["state_key"] == side.account.user_id
                    and event["content"]["membership"] == "join"
                    for event in self.anna.events(self.room)
                ),
                what=f"{side.name} to join",
            )


@asynccontextmanager
async def two_houses(
    people: People, model: Model, folder: Path, *, start: tuple[str, ...] = ("a", "b"), **room: Any
) -> AsyncIterator[TwoHouses]:
    """Both, in a room of Anna's with these settings; those that `start` names run when this begins."""
    anna = await people.person()
    accounts = {name: people.account(name) for name in ("a", "b")}
    shared = await people.room(anna, *accounts.values())
    users = [anna.id, *(account.user_id for account in accounts.values())]

    def side(name: str) -> Side:
        place = folder / name
        place.mkdir()
        daemon = Daemon(
            place,
            people.homeserver.url,
            accounts[name],
            # Each works for whoever speaks to it: there are two who could.
            [{"id": shared, "name": "shared", "mention_only": True, **room}],
            model_url=model.url,
            users=users,
            gateway={"enabled": True, "port": 0},
            registry={"instance": f"{name}-{secrets.token_hex(2)}"},
        )
        return Side(daemon.settings["registry"]["instance"], accounts[name], daemon)

    houses = TwoHouses(anna, shared, side("a"), side("b"), model)
    own(folder)
    async with AsyncExitStack() as stack:
        begun = [each for name, each in (("a", houses.a), ("b", houses.b)) if name in start]
        for each in (houses.a, houses.b):
            stack.push_async_exit(each.daemon.__aexit__)
        for each in begun:
            await each.start()
        await houses.settle_in(*begun)
        yield houses
