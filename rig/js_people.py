"""People at Element, with one device or several, beside those whom `rig/people.py` has at our own client."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rig.homeserver import Account, Homeserver
from rig.js_user import JsUser, js_user
from rig.people import People
from rig.setup import Node


class JsPeople:
    """Made by `js_people`. Everybody leaves when its block ends."""

    def __init__(self, people: People, node: Node, folder: Path, stack: AsyncExitStack) -> None:
        self._people = people
        self._node = node
        self._folder = folder
        self._stack = stack

    @property
    def homeserver(self) -> Homeserver:
        """Where they are."""
        return self._people.homeserver

    async def person(self, name: str = "anna", *, strict: bool = True) -> JsUser:
        """A fresh user with an identity of her own: her device is signed, and can sign others."""
        user = await self.play(self._people.account(name), strict=strict)
        await user.create_identity()
        return user

    async def device(self, user: JsUser, *, strict: bool = True) -> JsUser:
        """One more device of somebody. Nobody has signed it yet: see `recover` and `verify_with`."""
        name = user.id.removeprefix("@").partition(":")[0]
        return await self.play(self.homeserver.login(name, user.account.password), strict=strict)

    async def play(self, account: Account, *, strict: bool = True) -> JsUser:
        """A client for a device that exists."""
        folder = self._folder / account.device_id
        client = js_user(self.homeserver.url, account, self._node, folder, strict=strict)
        return await self._stack.enter_async_context(client)


@asynccontextmanager
async def js_people(people: People, node: Node, folder: Path) -> AsyncGenerator[JsPeople, None]:
    """Whoever is needed, until the block ends. `folder` keeps what their devices know."""
    async with AsyncExitStack() as stack:
        yield JsPeople(people, node, folder, stack)
