"""Trials with the driver alone: an owner of runs, the fake CLI, a torture tree, and an end."""

import asyncio
import contextlib
import json
import os
import random
import secrets
import shlex
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rig import fake_cli
from rig.torture import census, ends, init, tree
from rig.torture.census import Identity, Judge, Scene, Seen, Verdict
from rig.torture.ends import SLACK, End
from rig.torture.growing import PATIENCE, PYTHON, TrialFailed, command, grown
from rig.torture.plan import Outcome
from rig.torture.ways import Way
from rig.unprivileged import clean_env, own

ROOT = Path(__file__).resolve().parents[2]
LADDER = (0.25, 0.15, 0.1)
"""Seconds of the rungs of the stop ladder: the same as the daemon's, in less time."""
BUSTLE = 0.4
"""Seconds for which other children are started."""
GROWING = 0.3
"""Seconds in which a tree grows: some stops come meanwhile."""


class Stage:
    """A folder, and in it one owner after the other, under a process that stands for the first one."""

    def __init__(self, folder: Path, way: Way, uid: int | None) -> None:
        self.folder = folder / secrets.token_hex(8)  # a word that nobody else has in argv or environment
        self.way = way
        self._uid = uid if way.as_root else None
        self._process: asyncio.subprocess.Process | None = None
        self._said: list[dict[str, Any]] = []
        self._starter = 0
        self.pid = 0
        """The owner; 0 when there is none."""

    def scene(self, *words: str) -> Scene:
        """What belongs to the owner, also by these words."""
        assert self._process is not None
        return Scene((self._process.pid, self._starter), (str(self.folder), *words), self._uid)

    async def open(self, *, attempt: bool = False) -> None:
        """Make the folder. With `attempt` each owner tries its isolation first; TrialFailed if that does not work."""
        self.folder.mkdir(mode=0o711)
        install(self.folder)
        if not self.way.as_root:
            own(self.folder)
        asked = {
            "folder": str(self.folder),
            "isolation": self.way.isolation,
            "uid": self._uid,
            "ladder": LADDER,
            "attempt": attempt,
        }
        argv = [*self.way.before, sys.executable, "-m", "rig.torture.owner", json.dumps(asked)]
        with (self.folder / "owner.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(PYTHON, "-ISE", str(init.__file__), *argv),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=clean_env(HOME=str(self.folder), PYTHONPATH=str(ROOT)),
                cwd=self.folder,
                start_new_session=True,
            )
        self._starter = (await self.hear("ready"))["pid"]

    async def start(self) -> None:
        """Start an owner."""
        self.tell("start")
        self.pid = (await self.hear("up"))["pid"]

    def tell(self, do: str, **order: object) -> None:
        """Give an order."""
        assert self._process is not None
        assert self._process.stdin is not None
        if do == "turn":
            self._said.clear()
        self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")

    async def hear(self, *what: str) -> dict[str, Any]:
        """The next of these that it says; the others wait until they are asked for, or a turn begins."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not (found := [said for said in self._said if said["said"] in what]):
                    if not await self._listen():
                        break
                else:
                    self._said.remove(found[0])
                    return found[0]
        raise TrialFailed(f"no {' or '.join(what)} from the owner; it said {self._said}")

    async def _listen(self) -> bool:
        """Hear one line. False when there is none any more."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        self._said += [json.loads(line)] if line else []
        return bool(line)

    async def turn(self, text: str) -> dict[str, Any]:
        """A whole turn: what was said in it, and whether the run is warm after it."""
        self.tell("turn", text=text)
        said = await self.hear("ended", "failed")
        return {**said, **await self.hear("settled"), "said": said["said"]}

    async def end(self) -> None:
        """End whatever is left of the owner; the next one can be started."""
        await self._end_all(self.scene().left)
        self.pid = 0

    async def close(self) -> None:
        """End everything."""
        process = self._process
        if process is not None:
            await self._end_all(lambda: [each for each in census.below(process.pid) if not each.is_zombie])
            while process.returncode is None:  # noqa: ASYNC110 - `Process.wait` waits for the pipes, too
                await asyncio.sleep(census.LOOK_EVERY)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _end_all(self, living: Callable[[], list[Seen]]) -> None:
        while left := living():
            for each in left:
                with contextlib.suppress(TrialFailed):
                    ends.kill(each.pid)
            await asyncio.sleep(census.LOOK_EVERY)


@asynccontextmanager
async def stage(folder: Path, way: Way, uid: int, *, attempt: bool = False) -> AsyncIterator[Stage]:
    """A stage that is certain to end."""
    made = Stage(folder, way, uid)
    try:
        await made.open(attempt=attempt)
        yield made
    finally:
        await made.close()


def install(folder: Path) -> None:
    """The fake CLI; beside it the tree, and a CLI that does nothing but grow one at once."""
    claude = fake_cli.install(folder)
    program = claude.with_name("tree.py")
    shutil.copyfile(tree.__file__, program)
    grower = claude.with_name("grower")
    grow = shlex.join([PYTHON, "-ISE", str(program)])
    grower.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo {fake_cli.VERSION} || exec {grow} "$WORD"\n', encoding="utf-8"
    )
    grower.chmod(0o755)


def grow(folder: Path, word: str, *, leave: bool, deaf: bool) -> str:
    """A prompt that makes the fake CLI's Bash tool grow a tree."""
    tool = shlex.join(command(folder / "cli" / "tree.py", word, leave=leave))
    steps: list[dict[str, Any]] = [{"ignore": ["interrupt", "end_session", "SIGINT"]}] if deaf else []
    steps += [{"tool": "Bash", "input": {"command": f"echo up; {tool}"}}]
    return f"grow @@stub {json.dumps(steps)}"


class Trial:
    """One end of one tree."""

    def __init__(self, stage: Stage, end: End, chance: random.Random) -> None:
        self._stage = stage
        self._end = end
        self._chance = chance
        self._word = secrets.token_hex(8)
        self._wrong: list[str] = []

    async def go(self) -> Outcome:
        """Let it happen, and look."""
        stage, end = self._stage, self._end
        if not stage.pid:
            await stage.start()
        verdict = await (self._in_the_launch() if end.how == "launch" else self._in_a_turn())
        again = None
        if end.stays == "nobody" or verdict.survivors:
            await stage.end()
        else:
            again = await self._go_on()
        return Outcome(verdict=verdict, again=again, wrong=tuple(self._wrong))

    async def _in_the_launch(self) -> Verdict:
        """A CLI that grows the tree as soon as it is there, and an owner or a shim that does not live to see it."""
        stage, end = self._stage, self._end
        spared = [] if end.stays == "nobody" else self._owner()
        stage.tell("close")
        await stage.hear("closed")
        stage.tell("turn", text="", env={"WORD": self._word})
        await stage.hear("launching")
        if end.victim:
            while not census.children(stage.pid):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        await asyncio.sleep(self._chance.uniform(*end.between))
        judge = Judge(scene=stage.scene(self._word), spared=spared, within=SLACK)
        ends.kill(ends.victim(end.victim, census.children(stage.pid)) if end.victim else stage.pid)
        return await judge.verdict()

    def _owner(self) -> list[Identity]:
        """It alone."""
        return [each.identity for each in self._stage.scene().left() if each.pid == self._stage.pid]

    async def _in_a_turn(self) -> Verdict:
        stage, end = self._stage, self._end
        owner = self._owner()
        warm = await stage.turn("hello")
        if warm.get("text") != "hello":
            raise TrialFailed(f"the first turn: {warm}")
        links = ends.chain(stage.pid)
        runs = [*owner, *(link.identity for link in links)]
        spared = {"run": runs, "owner": owner, "nobody": []}[end.stays]
        stage.tell("turn", text=grow(stage.folder, self._word, leave=end.how == "leave", deaf=end.how == "timeout"))
        if end.how == "stop" and self._chance.random() < 0.5:
            await asyncio.sleep(self._chance.uniform(0, GROWING))  # while it grows, or before
        elif end.how != "leave":
            await grown(stage.pid, self._word)
        within = await self._strike(links)
        judge = Judge(scene=stage.scene(self._word), spared=spared, within=within)
        if end.bustle:  # until then there is always somebody
            await stage.hear("bustled")
        return await judge.verdict()

    async def _strike(self, links: Sequence[Seen]) -> float:
        """Begin the end; the seconds that it may take."""
        stage = self._stage
        match self._end.how:
            case "timeout" | "stop":
                stage.tell("stop")
                return sum(LADDER) + SLACK
            case "leave":
                await stage.hear("ended")
                return SLACK
            case "term":
                os.kill(stage.pid, signal.SIGTERM)
                return sum(LADDER) + SLACK
            case _:
                if self._end.bustle:
                    stage.tell("bustle", seconds=BUSTLE)
                    await asyncio.sleep(self._chance.uniform(0, BUSTLE / 2))
                ends.kill(ends.victim(self._end.victim, links) if self._end.victim else stage.pid)
                return SLACK + (BUSTLE if self._end.bustle else 0)

    async def _go_on(self) -> float | None:
        """The owner must have been told, and must go on; the seconds of the next turn, if it was a warm one."""
        stage, end = self._stage, self._end
        said = await stage.hear("settled")
        if said["warm"] is not (end.stays == "run"):
            self._wrong.append("the run did not stay" if end.stays == "run" else "the run counts as warm")
        if said["left"] and not end.bustle:
            self._wrong.append(f"the run was called gone while {said['left']} were left")
        began = time.monotonic()
        after = await stage.turn("and now?")
        if after.get("text") != "and now?":
            self._wrong.append(f"the next turn: {after}")
        return time.monotonic() - began if said["warm"] else None
