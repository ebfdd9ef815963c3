"""Fresh users and rooms for a test, so that tests share a homeserver and nothing else."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from rig.homeserver import Account, Homeserver
from rig.matrix_client import MatrixUser, matrix_user


class People:
    """Made by `people`. Everybody leaves when its block ends."""

    def __init__(self, homeserver: Homeserver, stack: AsyncExitStack) -> None:
        self.homeserver = homeserver
        self._stack = stack

    def account(self, name: str = "claude") -> Account:
        """A fresh user whom nobody plays: the daemon's. `name` begins the name."""
        return self.homeserver.register(f"{name}-{secrets.token_hex(4)}")

    async def person(self, name: str = "anna") -> MatrixUser:
        """A fresh user at a client."""
        return await self.play(self.account(name))

    async def play(self, account: Account) -> MatrixUser:
        """A client for a user who exists."""
        return await self._stack.enter_async_context(matrix_user(self.homeserver.url, account))

    async def room(self, owner: MatrixUser, *others: MatrixUser | Account, alias: str = "", version: str = "") -> str:
        """A room of `owner`. Others who are at a client are in it when this returns; accounts are invited."""
        ids = [other.id if isinstance(other, MatrixUser) else other.user_id for other in others]
        room = await owner.create_room(*ids, alias=alias, version=version)
        for other in others:
            if isinstance(other, MatrixUser):
                await other.join(room)
        return room


@asynccontextmanager
async def people(homeserver: Homeserver) -> AsyncGenerator[People, None]:
    """Whoever is needed, until the block ends."""
    async with AsyncExitStack() as stack:
        yield People(homeserver, stack)
