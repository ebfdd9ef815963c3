"""What keeping a run in adds, layer by layer: to a command that does nothing, to a first message, and to a warm one.

The floor is the program started directly: no shim, no sandbox, no way out of its own, and its prompt behind its first
line without a wait. It has the room's tools as every run has them, at an address of this process: what the program does
to get to know them is no part of keeping it in. Beside it the driver, in each way of keeping a run in that the machine
has; all of them one after the other, round by round, so that what else the machine does meets all alike. What counts is
the difference in milliseconds: it does not depend on how long the program itself takes.

A tree that does not want to end is left behind by a turn, and the next message follows at once: how much later does it
start than one behind a turn that left nothing? And how much of the processor does the supervision take, in a turn that
waits and between turns?

Targets: less than 40 ms for a first message, nothing for a warm one, less than 200 ms to the start of a message after
such a tree, and no work at all between turns.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, create_subprocess_exec
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from aiohttp import web
from rich.console import Console
from rich.table import Table

from aiagentchat.agents.claude_code import command, wire
from aiagentchat.agents.claude_code.driver import ClaudeCode, ClaudeRun
from aiagentchat.agents.claude_code.quarters import Quarters, cell_of, prepare, settings_file
from aiagentchat.agents.claude_code.room_tools import ADDRESS, TOKEN, RoomTools
from aiagentchat.agents.claude_code.translate import Translator
from aiagentchat.core.agent_events import ApprovalAsked, TextDelta, TurnEnded
from aiagentchat.core.ids import RoomId, new_run_id, new_session_id
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import Prompt, RunSpec
from aiagentchat.process.leftovers import MARKER
from aiagentchat.process.lines import TooLong, lines
from aiagentchat.process.posts import Posts
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import STOP_FD, enclose
from aiagentchat.process.sandbox.furnish import furnish
from aiagentchat.process.sandbox.ladder import attempt
from aiagentchat.process.tree import MAX_LINE_BYTES, Tree
from bench.stage import quiet
from rig.claude import cli_binary
from rig.model import Model
from rig.script import Step, script
from rig.torture import tree as torture_tree

PATIENCE = 60.0
UID = 262_100 if os.geteuid() == 0 else None
"""Whom a room's run becomes where it becomes somebody."""
PATH = "/usr/local/bin:/usr/bin:/bin"
KEY = "sk-ant-offline"
DIRECT, SHIM = "direct", "shim"
ECHO, FIRST, WARM = "echo", "first message", "warm message"
ADDED, AFTER, CPU = "added", "after a torture tree", "supervision"
WHAT = (ECHO, FIRST, WARM)
WARM_MESSAGES = 3
PAUSE_SECONDS = 0.1
"""Between messages: nobody types faster, and the program tidies up after each."""
TORTURE = Path(torture_tree.__file__).read_bytes()
IDLE_SECONDS = 5.0

Start = Callable[[], Awaitable[list[float]]]
Rounds = list[dict[str, dict[str, float]]]
"""For each round by way, what was measured; seconds."""
Rows = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where runs are measured."""

    folder: Path
    model: Model
    ways: Sequence[Isolation]
    patience: float
    """Seconds that a measurement may wait for a quiet moment of the machine."""

    @property
    def gates(self) -> Path:
        """The folder for the sockets of ways out."""
        return self.folder / "gates"

    def credentials(self) -> dict[str, str]:
        """What the program authenticates with."""
        return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": self.model.url}

    def spec(self, name: str, uid: int | None) -> RunSpec:
        """A new conversation in the room of that name."""
        workspace = self.folder / name / "workspace"
        workspace.mkdir(parents=True, exist_ok=True)
        for folder in (workspace.parent, workspace):
            folder.chmod(0o711)
        if uid is not None:
            os.chown(workspace, uid, uid)
        return RunSpec(
            room=RoomId(f"!{name}:bench"),
            session=new_session_id(),
            resume=False,
            workspace=str(workspace),
            home=str(self.folder / "homes" / name),
            instructions="You are measured.",
            allow=("Bash(*)",),
            uid=uid,
        )


def uid_in(way: Isolation) -> int | None:
    """Who a run becomes in it."""
    return UID if way in {Isolation.STRICT, Isolation.USERS} else None


async def scene(folder: Path, model: Model, patience: float) -> Scene:
    """The folders, and which ways this machine has."""
    for place in (folder, folder / "gates", folder / "homes"):
        place.mkdir(mode=0o711)
    tried = [await attempt(way, folder=folder, uid=UID) for way in reversed(Isolation)]
    return Scene(folder, model, [each.isolation for each in tried if each.works], patience)


# ── a command that does nothing ──


async def bare(on: Scene, rounds: int) -> Rounds:
    """From the start of `/bin/echo` until it has spoken: plain, under the shim alone, and in each way."""
    starts: dict[str, Callable[[], Awaitable[float]]] = {DIRECT: lambda: _plain(on.folder), SHIM: lambda: _shim(on)}
    for way in on.ways:
        starts[way] = partial(_enclosed, on, way)
    found: Rounds = []
    for _ in range(rounds):
        await quiet(on.patience)
        found.append({name: {ECHO: await start()} for name, start in starts.items()})
    return found


async def _plain(folder: Path) -> float:
    begun = time.perf_counter()
    process = await create_subprocess_exec("/bin/echo", "here", cwd=folder, env={"PATH": PATH}, stdout=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    took = time.perf_counter() - begun
    await process.wait()
    return took


async def _shim(on: Scene) -> float:
    return await _spoken(["/bin/echo", "here"], on.folder, None)


async def _enclosed(on: Scene, way: Isolation) -> float:
    spec = on.spec(f"echo-{way}", uid_in(way))
    cell = Cell(workspace=Path(spec.workspace), home=Path(spec.home), uid=spec.uid)
    furnish(cell)
    cell.home.mkdir(exist_ok=True)
    return await _spoken(enclose(way, cell, ["/bin/echo", "here"]), cell.workspace, spec.uid)


async def _spoken(argv: Sequence[str], cwd: Path, uid: int | None) -> float:
    begun = time.perf_counter()
    tree = await Tree.start(argv, env={"PATH": PATH}, cwd=cwd, uid=uid, stop_fd=STOP_FD)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(tree.serve())
        took = None
        async for _ in tree.lines():
            took = took or time.perf_counter() - begun
    assert took is not None, tree.last_words
    return took


# ── messages ──


async def messages(on: Scene, rounds: int, warm: int) -> Rounds:
    """A first message to a new process, and `warm` more to the same one: until the end of the answer."""
    posts = Posts()
    found: Rounds = []
    async with asyncio.TaskGroup() as group, room_tools() as address:
        starts: dict[str, Start] = {DIRECT: partial(_direct, on, address, warm)}
        for way in on.ways:
            agent = driver(on, way, posts)
            await agent.binary()  # its version is asked for once in the daemon's life
            starts[way] = partial(_driven, on, agent, way, warm, posts)
        serving = group.create_task(posts.serve())
        for number in range(rounds):
            took = {name: await start() for name, start in _turned(starts, number)}
            found.append({name: {FIRST: each[0], WARM: statistics.median(each[1:])} for name, each in took.items()})
        serving.cancel()
    return found


def _turned(starts: Mapping[str, Start], number: int) -> Iterator[tuple[str, Start]]:
    """Each round begins with another one: what comes behind which is part of what is measured."""
    names = [*starts]
    first = number % len(names)
    return ((name, starts[name]) for name in names[first:] + names[:first])


def driver(on: Scene, way: Isolation, posts: Posts | None = None) -> ClaudeCode:
    """The driver as the daemon has it; it has `posts` where these are served, too."""
    quarters = Quarters(isolation=way, gates=on.gates)
    binary, environ = str(cli_binary()), {"PATH": PATH}
    return ClaudeCode(binary, environ=environ, credentials=on.credentials, quarters=quarters, posts=posts)


def ask(number: int) -> Prompt:
    """A prompt with its answer."""
    return Prompt(uuid=str(uuid.uuid4()), text=script(f"say {number}", Step(text=f"answer {number}.")))


@asynccontextmanager
async def room_tools() -> AsyncIterator[str]:
    """The tools of a room, for who is not kept in: at this address."""

    async def offer(path: str, caption: str) -> tuple[str, bool]:
        raise AssertionError(f"nobody sends {path!r} ({caption!r}) here")

    tools = RoomTools(offer)

    async def answer(request: web.Request) -> web.Response:
        said = await tools.answer(await request.read())
        return web.Response(status=202) if said is None else web.Response(body=said, content_type="application/json")

    served = web.Application()
    served.router.add_post("/", answer)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


async def _direct(on: Scene, address: str, warm: int) -> list[float]:
    spec = on.spec(DIRECT, None)
    prepare(spec, cell_of(spec, cli_binary(), None))
    argv = command.argv(cli_binary(), str(settings_file(spec)), spec)
    env = command.environment(spec, new_run_id(), path=PATH, credentials=on.credentials())
    env |= {ADDRESS: address, TOKEN: KEY}
    await quiet(on.patience)
    begun = time.perf_counter()
    process = await create_subprocess_exec(
        *argv, cwd=spec.workspace, env=env, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=MAX_LINE_BYTES
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wire.initialize("first", spec.instructions) + b"\n")
    spoken = lines(process.stdout, most=MAX_LINE_BYTES)
    took: list[float] = []
    async with asyncio.timeout(PATIENCE):
        for number in range(warm + 1):
            begun = time.perf_counter() if number else begun
            prompt = ask(number)
            translator = Translator(prompt.uuid)
            process.stdin.write(wire.user(prompt) + b"\n")
            async for line in spoken:
                assert not isinstance(line, TooLong)
                if any(isinstance(event, TurnEnded) for event in translator.line(line)):
                    break
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(PAUSE_SECONDS)
        process.stdin.write(wire.end_session("last") + b"\n")
        await process.wait()
    return took


async def _driven(on: Scene, agent: ClaudeCode, way: Isolation, warm: int, posts: Posts) -> list[float]:
    took: list[float] = []
    spec = on.spec(f"room-{way}", uid_in(way))
    while not posts.is_ready:  # noqa: ASYNC110 - a daemon has one long before the next run is due
        await asyncio.sleep(PAUSE_SECONDS)
    await quiet(on.patience)
    begun = time.perf_counter()
    async with running(agent, spec) as run:
        for number in range(warm + 1):
            begun = time.perf_counter() if number else begun
            await turn(run, ask(number))
            took.append(time.perf_counter() - begun)
            assert await run.settle()  # when all has been said, as in a room
            await asyncio.sleep(PAUSE_SECONDS)
    return took


@asynccontextmanager
async def running(agent: ClaudeCode, spec: RunSpec) -> AsyncIterator[ClaudeRun]:
    """A run that is served, and closed in the end."""
    async with asyncio.TaskGroup() as group:
        run = await agent.open(spec)
        serving = group.create_task(run.serve())
        try:
            yield run
        finally:
            async with asyncio.timeout(PATIENCE):
                await run.close()
                await asyncio.wait([serving])


async def turn(run: ClaudeRun, prompt: Prompt) -> float:
    """Take a turn. Seconds until its first words."""
    begun, first = time.perf_counter(), 0.0
    async with asyncio.timeout(PATIENCE):
        async for event in run.turn(prompt):
            if isinstance(event, TextDelta):
                first = first or time.perf_counter() - begun
            if isinstance(event, ApprovalAsked):
                await run.answer(event.request, allow=True)
    return first


# ── after a tree that does not want to end ──


async def after_torture(on: Scene, rounds: int) -> Rows:
    """From the end of a turn to the first words of the next: the sweep, and the turn itself. Milliseconds."""
    way = on.ways[-1]
    agent = driver(on, way)
    found: dict[str, list[float]] = {"nothing": [], "a tree": []}
    spec = on.spec("torture", uid_in(way))
    starter = Path(spec.workspace) / "torture.py"
    starter.write_bytes(TORTURE)
    starter.chmod(0o644)
    async with running(agent, spec) as run:
        await turn(run, ask(0))
        assert await run.settle()
        for number in range(rounds):
            for left, starts in found.items():
                await quiet(on.patience)
                mark = uuid.uuid4().hex
                await turn(run, _leave_behind(starter, mark) if left == "a tree" else _leave_nothing(mark))
                grown = len(_marked(mark))
                assert bool(grown) == (left == "a tree"), f"{grown} processes are left"
                begun = time.perf_counter()
                assert await run.settle()
                swept = time.perf_counter() - begun
                starts.append(swept + await turn(run, ask(number)))
                assert not _marked(mark)
    return {
        name: {"p50": statistics.median(starts) * 1000, "slowest": max(starts) * 1000} for name, starts in found.items()
    }


def _leave_behind(starter: Path, mark: str) -> Prompt:
    # The command itself ends; what it has started is all there by then.
    python = f"{os.path.realpath(sys.executable)} -ISE"
    shell = f"setsid {python} {starter} {mark} > said 2>&1 < /dev/null & until grep -q ready said; do sleep 0.05; done"
    return _bash(f"rm -f said; {shell}")


def _leave_nothing(mark: str) -> Prompt:
    return _bash(f"echo {mark}")


def _bash(line: str) -> Prompt:
    steps = (Step(text="I do it.", tool="Bash", input={"command": line}), Step(text="It is done."))
    return Prompt(uuid=str(uuid.uuid4()), text=script("do", *steps))


def _marked(mark: str) -> list[int]:
    """Processes with this word in their argv."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline():
                found.append(process.pid)
    return found


# ── what it costs to be watched ──


async def supervision(on: Scene, seconds: float = IDLE_SECONDS) -> Rows:
    """CPU that everything but the program itself takes, in percent of one core: while a turn waits, and between."""
    way = on.ways[-1]
    agent, spec = driver(on, way), on.spec("watched", uid_in(way))
    async with running(agent, spec) as run:
        await turn(run, ask(0))
        assert await run.settle()
        keepers = _keepers(run)
        idle = await _used(keepers, seconds)
        quiet = Prompt(uuid=str(uuid.uuid4()), text=script("wait", Step(text="so.", before=seconds + 2)))
        async with asyncio.TaskGroup() as group:
            group.create_task(turn(run, quiet))
            await asyncio.sleep(0.5)
            during = await _used(keepers, seconds)
    return {name: {"between turns": idle[name], "in a turn": during[name]} for name in keepers}


def _keepers(run: ClaudeRun) -> dict[str, psutil.Process]:
    """The chain from the shim down, without the program."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get(MARKER) == run.id:
                found["shim"] = child
    for process in found["shim"].children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("python"):
                found["inside"] = process
    return found


async def _used(processes: dict[str, psutil.Process], seconds: float) -> dict[str, float]:
    """Percent of one core."""
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    await asyncio.sleep(seconds)
    return {name: (sum(process.cpu_times()[:2]) - before[name]) / seconds * 100 for name, process in processes.items()}


# ── what is shown ──


def added(rounds: Rounds, what: str) -> Rows:
    """By way: the median, and the median of what it took more than the floor of its round. Milliseconds."""
    return {
        way: {
            what: statistics.median(each[way][what] for each in rounds) * 1000,
            ADDED: statistics.median(each[way][what] - each[DIRECT][what] for each in rounds) * 1000,
        }
        for way in rounds[0]
    }


async def measure(
    model: Model, folder: Path, rounds: int, *, patience: float, say: Callable[[str], None]
) -> dict[str, Rows]:
    """All of it."""
    on = await scene(folder, model, patience)
    say("layers: a command that does nothing")
    echoes = await bare(on, 2 * rounds)
    say(f"layers: {rounds} rounds of a first message and {WARM_MESSAGES} warm ones, in {len(on.ways) + 1} ways")
    answers = await messages(on, rounds, WARM_MESSAGES)
    say(f"layers: messages after a torture tree, in {on.ways[-1]}")
    left = await after_torture(on, max(3, rounds // 2))
    say("layers: what the supervision takes")
    return {
        ECHO: added(echoes, ECHO),
        FIRST: added(answers, FIRST),
        WARM: added(answers, WARM),
        AFTER: left,
        CPU: await supervision(on),
    }


def show(table: dict[str, Rows], console: Console) -> None:
    """Print it."""
    kept = Table("way", *(f"{what}{more}" for what in WHAT for more in (" ms", " +")))
    kept.title = "what keeping a run in adds"
    for way in table[ECHO]:
        rows = [table[what].get(way) for what in WHAT]
        cells = [(f"{r[w]:.1f}", f"{r[ADDED]:+.1f}") if r else ("–", "–") for r, w in zip(rows, WHAT, strict=True)]
        kept.add_row(way, *(cell for pair in cells for cell in pair))
    rest = Table("what", "when", "is")
    for left, starts in table[AFTER].items():
        for name, value in starts.items():
            rest.add_row(f"the next message starts, ms: {name}", f"after a turn that left {left}", f"{value:.0f}")
    for process, used in table[CPU].items():
        for when, value in used.items():
            rest.add_row(f"CPU of {process}, % of a core", when, f"{value:.2f}")
    for shown in (kept, rest):
        for column in shown.columns[1:]:
            column.justify = "right"
        console.print(shown)
