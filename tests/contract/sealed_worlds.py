"""Our device on a real homeserver, with a person whose client encrypts. It can die and live again."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.ports.matrix import SyncBatch
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.sharing import MayRead
from aiagentchat.matrix.crypto.start import Keeping, opened_machine
from aiagentchat.matrix.outbound import MatrixOutbound
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.store.bell import EventBell
from aiagentchat.store.ledger import Ledger, open_ledger
from rig import homeserver as rig
from rig.homeserver import Homeserver
from rig.sealed_user import SealedUser, sealed_user
from tests.fakes.accounts import MemoryAccounts

PICKLE_KEY = "5ea1" * 16


class Life:
    """One life of ours."""

    def __init__(self, client: Client, machine: Machine, ledger: Ledger, me: UserId) -> None:
        self.client = client
        self.machine = machine
        self.ledger = ledger
        self.may_read: MayRead | None = None
        self.homeserver = MatrixHomeserver(client, me, machine)
        self.outbound = MatrixOutbound(client, machine, lambda _: self.may_read)
        self.token: str | None = None
        self.heard: list[Incoming] = []
        self.missed = 0
        """How many gaps there were."""
        self.me = me

    async def hear(self) -> SyncBatch:
        """One sync, with what its gaps hold, which is remembered."""
        batch = await self.homeserver.sync(self.token, timeout=2)
        for gap in batch.gaps:
            self.missed += 1
            missed = await self.homeserver.missed(gap, since=self.token, oldest=0, most=1000)
            self.heard += missed.events
        self.heard += batch.events
        self.token = batch.token
        return batch

    def of(self, room: RoomId) -> list[Incoming]:
        """What others have said there, once each."""
        said = [event for event in self.heard if event.room == room and event.sender != self.me]
        return list({event.event: event for event in said}.values())

    async def until_heard(self, count: int, room: RoomId) -> list[Incoming]:
        """So many events of others."""
        async with asyncio.timeout(30):
            while len(self.of(room)) < count:
                await self.hear()
        return self.of(room)

    async def until(self, condition: Callable[[], object]) -> None:
        """Go on hearing until then."""
        async with asyncio.timeout(30):
            while not condition():
                await self.hear()


class SealedWorld:
    """A homeserver, a person and we."""

    def __init__(self, homeserver: Homeserver, anna: SealedUser, account: rig.Account, folder: Path) -> None:
        self.anna = anna
        self.account = account
        self.me = UserId(account.user_id)
        self.server = homeserver
        self.folder = folder
        self.accounts = MemoryAccounts()

    @asynccontextmanager
    async def life(
        self, *, token: str | None = None, password: bool = False, key: str = PICKLE_KEY
    ) -> AsyncIterator[Life]:
        """A life of ours, that goes on from `token`. With `password` it may log in as a new device."""
        account = Account(
            homeserver=self.server.url,
            user=self.me,
            device_name="test",
            token=None if password else self.account.access_token,
            password=rig.PASSWORD if password else None,
        )
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(open_ledger(self.folder / "ledger.db"))
            client = Client(account, self.accounts)
            stack.push_async_callback(client.close)
            await client.log_in()
            machine = await stack.enter_async_context(opened_machine(client, self.me, self.keeping(ledger, key)))
            asking = asyncio.get_running_loop().create_task(machine.run())
            life = Life(client, machine, ledger, self.me)
            life.token = token
            try:
                await life.hear()
                yield life
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    def keeping(self, ledger: Ledger, key: str) -> Keeping:
        """Where the keys of our device are."""
        return Keeping(
            folder=self.folder / "crypto",
            pickle_key=key,
            keyring=ledger.keyring,
            clock=SystemClock(),
            random=random.random,
            new_bell=EventBell,
        )

    @asynccontextmanager
    async def person(self, name: str = "bert") -> AsyncIterator[SealedUser]:
        """Somebody else whose client encrypts."""
        account = self.server.register(f"{name}-{secrets.token_hex(4)}")
        async with sealed_user(self.server.url, account) as person:
            yield person

    async def enter(self, life: Life, *, encrypted: bool = True) -> RoomId:
        """A room that Anna and we are in."""
        room = RoomId(await self.anna.room(self.me, encrypted=encrypted))
        await life.outbound.join(room)
        await self.anna.until_member(room, self.me)
        while life.client.rooms.known(room) is None:
            await life.hear()
        return room


@asynccontextmanager
async def sealed_world(homeserver: Homeserver, folder: Path) -> AsyncIterator[SealedWorld]:
    """Anna is there; we are not yet."""
    account = homeserver.register(f"claude-{secrets.token_hex(4)}")
    person = homeserver.register(f"anna-{secrets.token_hex(4)}")
    async with sealed_user(homeserver.url, person) as anna:
        yield SealedWorld(homeserver, anna, account, folder)
