"""A stage for an agent: a room's folders, runs that are certain to end, and turns that are certain to return."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.agents.claude_code.quarters import Quarters
from aiagentchat.agents.claude_code.speaking import Peers
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApprovalAsked,
    TextBlockEnded,
    TextDelta,
    TextRetracted,
    ToolUsed,
    TurnEnded,
)
from aiagentchat.core.ids import RoomId, new_session_id
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import Agent, AgentRun, Prompt, RunSpec
from rig.script import Step, script

PATIENCE = 30.0
KEY = "sk-ant-the-key-of-this-test"
_GATES = tempfile.TemporaryDirectory(prefix="gates.")
FOREVER = script("work", Step(text="On it.", tool="Bash", input={"command": "echo started; sleep 301"}))
TOUCH = script("touch", Step(text="I will.", tool="Bash", input={"command": "touch made"}), Step(text="That was it."))


def make_spec(folder: Path) -> RunSpec:
    """A room whose folders are in `folder`, in a conversation of its own."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    return RunSpec(
        room=RoomId("!kitchen:example.org"),
        session=new_session_id(),
        resume=False,
        workspace=str(workspace),
        home=str(folder / "homes" / "kitchen"),
        instructions="You answer in the kitchen.",
    )


def made(spec: RunSpec) -> bool:
    """Whether the tool of `TOUCH` ran."""
    return Path(spec.workspace, "made").exists()


def resumed(spec: RunSpec) -> RunSpec:
    return replace(spec, resume=True)


def claude(
    binary: Path,
    model_url: str = "http://127.0.0.1:9",
    *,
    isolation: Isolation = Isolation.NONE,
    peers: Peers | None = None,
) -> ClaudeCode:
    """The driver with this binary, a key, and nobody to talk to but the model and these peers."""
    credentials = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model_url}
    quarters = Quarters(isolation=isolation, gates=Path(_GATES.name))
    return ClaudeCode(
        str(binary),
        environ={"PATH": "/usr/bin:/bin"},
        credentials=lambda: credentials,
        quarters=quarters,
        peers=peers,
    )


def prompt(text: str) -> Prompt:
    return Prompt(uuid=str(uuid.uuid4()), text=text)


@asynccontextmanager
async def served(agent: Agent, spec: RunSpec) -> AsyncIterator[AgentRun]:
    """A run that is served, and at the end closed and gone, in a bounded time."""
    run = await agent.open(spec)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(run.serve())
        try:
            yield run
        finally:
            async with asyncio.timeout(PATIENCE):
                await run.close()
                await asyncio.wait([serving])


async def turn(run: AgentRun, text: str, *, allow: bool = True, reason: str = "") -> list[AgentEvent]:
    """All events of a turn in which every question is answered like this."""
    events: list[AgentEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for event in run.turn(prompt(text)):
            events.append(event)
            await _answer(run, event, allow=allow, reason=reason)
    return events


async def _answer(run: AgentRun, event: AgentEvent, *, allow: bool, reason: str) -> None:
    if isinstance(event, ApprovalAsked):
        await run.answer(event.request, allow=allow, reason=reason)


async def until(events: AsyncGenerator[AgentEvent, None], kind: type[AgentEvent]) -> list[AgentEvent]:
    """The events of a turn up to the first of that kind."""
    seen: list[AgentEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            seen.append(event)
            if isinstance(event, kind):
                return seen
    raise AssertionError(f"the turn ended without {kind.__name__}: {seen}")


async def rest(events: AsyncGenerator[AgentEvent, None]) -> list[AgentEvent]:
    """The events up to the end of the turn."""
    async with asyncio.timeout(PATIENCE):
        return [event async for event in events]


def text_of(events: Sequence[AgentEvent]) -> str:
    """What a room would read."""
    text, final = "", 0
    for event in events:
        match event:
            case TextDelta(more):
                text += more
            case TextRetracted():
                text = text[:final]
            case TextBlockEnded() | ToolUsed():
                final = len(text)
            case _:
                pass
    return text


def end_of(events: Sequence[AgentEvent]) -> TurnEnded:
    """The one end of the turn, which is last."""
    ends = [event for event in events if isinstance(event, TurnEnded)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return ends[0]


def processes(spec: RunSpec) -> list[psutil.Process]:
    """Every process that lives in the room's HOME, and is no zombie."""
    return [each for each in psutil.process_iter() if _home(each) == spec.home]


def _home(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("HOME")
    except psutil.Error:
        return None


def _chain(spec: RunSpec) -> list[psutil.Process]:
    """The shim, what keeps the CLI in, and the CLI: these have the CLI's words in their argv."""
    return [
        each for each in processes(spec) if "stream-json" in each.cmdline() or "process.shim" in str(each.cmdline())
    ]


def main_process(spec: RunSpec) -> psutil.Process:
    """The CLI itself: the last of the chain."""
    chain = {each.pid: each for each in _chain(spec)}
    parents = {each.ppid() for each in chain.values()}
    [main] = [each for each in chain.values() if each.pid not in parents]
    # What it has just forked, to be a tool, has its words until it is one.
    while (above := chain[main.ppid()]).cmdline() == main.cmdline():
        main = above
    return main


def others(spec: RunSpec) -> list[psutil.Process]:
    """What runs beside the CLI, its shim and what keeps it in."""
    chain = {each.pid for each in _chain(spec)}
    return [each for each in processes(spec) if each.pid not in chain]
