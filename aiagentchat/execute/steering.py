"""What is typed with /now while a turn runs.

It is written down as running in that turn, and then given to the agent. What the agent reads in the turn ends with the
turn. What it has not read when the turn has ended is what it does next by itself: a turn of its own, which is followed
and not begun. So nothing is run twice, and after a crash it is reported, as all that was begun.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import UserId, message_uuid
from aiagentchat.core.ports.access import Doors
from aiagentchat.core.ports.agent import AgentRun, Prompt
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Commands

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Given:
    """A command, as far as it is known what became of it."""

    command: Command
    is_written: bool = False
    """Whether the ledger has it as running in the turn, as far as we were told."""
    is_out: bool = False
    """Whether the agent may have it."""
    is_read: bool = False
    """Whether it is a part of the turn."""


class Steering:
    """What was given to the turns of one command."""

    def __init__(
        self,
        host: Command,
        *,
        commands: Commands,
        doors: Doors,
        prompt_of: Callable[[Command], Awaitable[Prompt]],
        clock: Clock,
        carried: Sequence[Given] = (),
    ) -> None:
        """`carried` was given to the turn before, and not read in it."""
        self._host = host
        self._commands = commands
        self._doors = doors
        self._prompt_of = prompt_of
        self._clock = clock
        self._given = {message_uuid(given.command.event): given for given in carried}

    async def look(self, run: AgentRun) -> None:
        """Give the running turn what there is for it."""
        for given in list(self._given.values()):
            if given.is_written and not given.is_out:
                await self._give(given, run)
        waiting: set[UserId] = set()
        for command in await self._commands.urgent(self._host.room):
            if command.session != self._host.session:
                continue  # a thread has a conversation of its own
            if command.sender in waiting or await self._doors.hindrance(command) is not None:
                # It waits in its place, with what its sender has said behind it, and hears why when it may not begin
                # there either.
                waiting.add(command.sender)
                continue
            # Known before it is written down: if we are cancelled meanwhile, the ledger says which it was.
            given = self._given[message_uuid(command.event)] = Given(command)
            given.is_written = await self._commands.give(command.event, self._host.event, self._clock.now_ms())
            if given.is_written:
                given.command = await self._commands.get(command.event) or command  # as it reads now
                await self._give(given, run)

    async def _give(self, given: Given, run: AgentRun) -> None:
        prompt = await self._prompt_of(given.command)
        given.is_out = True
        given.is_out = await run.fold(prompt)
        log.info("turn.given", given=given.command.event, taken=given.is_out)

    def read(self, uuid: str) -> None:
        """The agent has read it in the turn."""
        given = self._given.get(uuid)
        if given is not None:
            given.is_read = True
            log.info("turn.folded", given=given.command.event)

    async def given(self) -> list[Given]:
        """What runs in the turn by now, in order."""
        found = []
        for given in self._given.values():
            command = await self._commands.get(given.command.event)
            if command is not None and (command.state, command.host) == (CommandState.RUNNING, self._host.event):
                given.is_written = True
                found.append(given)
        return found
