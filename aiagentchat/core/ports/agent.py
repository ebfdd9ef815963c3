"""A program that answers, and one run of it."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from aiagentchat.core.agent_events import AgentEvent
from aiagentchat.core.ids import EventId, RoomId, RunId, SessionId
from aiagentchat.core.isolation import Network, RunLimits
from aiagentchat.core.meta import Meta


class Mounted(NamedTuple):
    """A folder outside of the workspace that may be worked in."""

    path: str
    mode: str
    """`ro` or `rw`."""
    source: str
    """Where it lies, links followed once and for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that decides what a run is. A turn that needs another one gets another run."""

    room: RoomId
    session: SessionId
    resume: bool
    """Whether the agent has seen the session."""
    workspace: str
    """A path, as is `home`."""
    workspace_source: str = ""
    """Where it lies, links followed once and for all; empty: nobody has looked."""
    home: str
    """The room's own folder for what the agent keeps; never the daemon's, never another room's."""
    instructions: str
    """What the agent is told about where and who it is, with the project's own instructions."""
    model: str | None = None
    permission_mode: str = "default"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mounted, ...] = ()
    """Folders outside of the workspace that may be worked in."""
    network: Network = Network.API
    network_hosts: tuple[str, ...] = ()
    limits: RunLimits = field(default_factory=RunLimits)
    tells_cost: bool = False
    """Whether its turns say what they cost while they run (`CostSoFar`)."""
    uid: int | None = None
    """The user that it runs as; None: the daemon's own."""
    speaks: bool = False
    """Whether it has the tools to speak with other agents."""
    reaches: tuple[RoomId, ...] = ()
    """Other rooms that it may read with them, and send to if it is allowed to."""


@dataclass(frozen=True, slots=True)
class Block:
    """A picture or a document that the model sees beside the text."""

    mime: str
    """`image/…`, or `application/pdf`."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a turn asks."""

    uuid: str
    text: str
    blocks: tuple[Block, ...] = ()
    own: str = ""
    """A command of the agent's own, which is run in place of the text (`core.agent_commands`)."""
    cause: Meta | None = None
    """What an agent has said about it, where one asks: what the turn sends to others follows from that."""
    thread: EventId | None = None
    """Where it was asked: what the turn says to others in its room is said there, too."""


class AgentRun(Protocol):
    """One process of an agent (or one conversation with a service), used for one turn after the other."""

    @property
    def id(self) -> RunId:
        """What its processes can be found by."""
        ...

    @property
    def alive(self) -> bool:
        """Whether another turn can be given to it."""
        ...

    async def serve(self) -> None:
        """Start it, keep it, and return when nothing of it is left, however it ends and whoever cancels this."""
        ...

    def turn(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn, or follow the one that `fold` has brought about.

        The last event is the only `TurnEnded`. Raises `AgentError`.
        """
        ...

    async def fold(self, prompt: Prompt) -> bool:
        """Give `prompt` to the running turn. False, and nothing was given, if none runs (any more).

        The turn says `Folded` when the agent has read it. What is unread when the turn has ended is what the agent does
        next by itself: `turn` with the same prompt follows that, and gives it no second time. Whoever does not follow
        it must close the run, unless the turn has said `NotFolded`.
        """
        ...

    async def answer(
        self,
        request: str,
        *,
        allow: bool,
        reason: str = "",
        used: Mapping[str, Any] | None = None,
        accept_edits: bool = False,
    ) -> None:
        """Answer an `ApprovalAsked`: the tool is used with `used`, or as it was asked.

        With `accept_edits` edits of files are not asked about until the turn ends.
        """
        ...

    async def reply(self, request: str, text: str, *, failed: bool = False) -> None:
        """Tell the agent what has come of a `FileOffered`."""
        ...

    async def stop(self) -> None:
        """End the running turn: ask first, then go down the stop ladder. `turn` has ended when this returns."""
        ...

    async def settle(self) -> bool:
        """End whatever the last turn left running. False if that cannot be proven: then close the run."""
        ...

    async def close(self) -> None:
        """Go down the stop ladder. Afterwards nothing of the run is left, unless the kernel does not let go."""
        ...


class Agent(Protocol):
    """A program that answers: Claude Code first."""

    async def open(self, spec: RunSpec) -> AgentRun:
        """A run for `spec`, not started: somebody must `serve` it. Raises AgentUnavailable."""
        ...

    async def fingerprint(self, spec: RunSpec) -> str:
        """What a warm run is compared by; the same for specs that may share a run. Raises AgentUnavailable."""
        ...
