"""Stands where parts of the exchange are not there yet: nothing is read, given or found."""

# ruff: noqa: ARG002 - it does nothing with what it is asked

from collections.abc import Collection, Sequence

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Page, Said, Wanted
from aiagentchat.core.ids import InstanceName, RoomId, TaskId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import Address, Step
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.tasks import Task
from aiagentchat.store.bell import EventBell


class OwnDirectory:
    """Knows this daemon alone."""

    def __init__(self, own: Address) -> None:
        self.own = own

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """This daemon."""
        name = self.own.instance or InstanceName("daemon")
        return [(Instance(user=self.own.user, name=name, kind=InstanceKind.DAEMON, host=""), True)]

    def find(self, address: Address) -> tuple[Instance, bool] | None:
        """This daemon, or nobody."""
        return next((each for each in self.entries() if address in (self.own, Address(self.own.user))), None)

    def register_session(
        self, name: InstanceName, *, rooms: Sequence[str] = (), skills: Sequence[str] = ()
    ) -> Instance:
        """Refused."""
        raise ExchangeRefused("unavailable", f"There is no registry for {name}.")

    def remove_session(self, name: InstanceName) -> None:
        """Nothing."""


class NoHistory:
    """Has nothing."""

    async def read(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """Nothing."""
        return Page(messages=())

    async def search(self, wanted: Wanted) -> Page:
        """Nothing."""
        return Page(messages=())

    def listen(self) -> Bell:
        """Never rings."""
        return EventBell()

    async def newest(self) -> int:
        """None."""
        return 0

    async def after(self, position: int, rooms: Collection[RoomId], limit: int) -> Sequence[Said]:
        """Nothing."""
        return ()


class NoTasks:
    """Refuses."""

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Nothing."""
        return ()

    async def assign_task(
        self,
        caller: Caller,
        room: RoomId,
        to: Address,
        text: str,
        *,
        deadline: int | None = None,
        key: str | None = None,
    ) -> Task:
        """Refused."""
        raise ExchangeRefused("unavailable", "There are no tasks.")

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Refused."""
        raise ExchangeRefused("unavailable", "There are no tasks.")
