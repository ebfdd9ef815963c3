"""What callers can ask for, wherever they ask: over HTTP, with a tool, from inside a run."""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.exchange import Caller, Message, Outgoing, Page, RoomView, Wanted
from aiagentchat.core.ids import MessageId, RoomId, TaskId
from aiagentchat.core.instances import Instance
from aiagentchat.core.meta import Address, Step
from aiagentchat.core.tasks import Task


class Exchange(Protocol):
    """Answers callers.

    Every method raises `ExchangeRefused`, whose `code` says why, and nothing else. Where a caller may not know of
    something it is told that this does not exist.
    """

    async def rooms(self, caller: Caller) -> Sequence[RoomView]:
        """Those of which the caller may know."""
        ...

    async def send(self, caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        """Accept a message: it is in the ledger when this returns. The same `key` again returns the first message."""
        ...

    async def status(self, caller: Caller, message: MessageId) -> Message:
        """How far it has come."""
        ...

    async def ask(self, caller: Caller, outgoing: Outgoing, *, seconds: float, key: str | None = None) -> Message:
        """Send, and wait until it is over, or for so long: then it is what it is by then."""
        ...

    async def read(self, caller: Caller, room: RoomId, *, limit: int, before: int | None = None) -> Page:
        """The last messages of a room."""
        ...

    async def history(self, caller: Caller, wanted: Wanted) -> Page:
        """Messages that are looked for. Rooms that the caller may not read are left out."""
        ...

    async def who(self, caller: Caller) -> Sequence[tuple[Instance, bool]]:
        """Who is in the registry, and whether each is there."""
        ...

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Tasks, the newest first: those that are open, or all of them."""
        ...

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
        """Give work to somebody."""
        ...

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of a task that the caller has given, or works on."""
        ...
