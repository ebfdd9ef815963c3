"""The daemon as a parent: what the kernel gives it is ended and reaped, and what it started keeps its exit code."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from aiagentchat.process.children import Children
from tests.process.trees import ENVIRONMENT, PATIENCE, living, mark, torture

ROOT = Path(__file__).resolve().parents[2]

_DAEMON = """
import asyncio, os, sys
from pathlib import Path
import psutil
from aiagentchat.process.children import children
from aiagentchat.process.tree import Tree

async def one(number):
    process = await children.start("/bin/sh", "-c", f"(setsid sleep 0.05 &) ; exit {number}")
    code = await process.wait()
    children.ended(process)
    return code == number

async def main():
    children.adopt()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        looking = group.create_task(children.look_after())
        if sys.argv[1] == "codes":
            right = 0
            for _ in range(10):
                right += sum(await asyncio.gather(*(one(number) for number in range(10))))
            while psutil.Process().children():
                await asyncio.sleep(0.01)
            print("right", right)
        else:
            tree = await Tree.start(sys.argv[2:], env={"PATH": "/usr/bin:/bin"}, cwd=Path("/"))
            group.create_task(tree.serve())
            async for line in tree.lines():
                break
            if sys.argv[1] == "starting":  # as while another run is being started
                children._starting += 1
                asyncio.get_running_loop().call_later(0.3, setattr, children, "_starting", 0)
            psutil.Process(tree._post.process.pid).kill()
            await tree.gone.wait()
            print("left", len(psutil.Process().children(recursive=True)))
        looking.cancel()

asyncio.run(main())
"""


async def daemon(*words: str) -> str:
    """What a process says that adopts, and does this."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DAEMON, *words),
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode().splitlines()[-1]


async def test_a_hundred_jobs_that_leave_orphans_keep_their_exit_codes_and_nothing_is_left() -> None:
    assert await daemon("codes") == "right 100"


@pytest.mark.parametrize("meanwhile", ["shim", "starting"])
async def test_a_tree_whose_shim_is_killed_is_ended_also_where_it_has_emptied_its_environment(meanwhile: str) -> None:
    word = mark()

    assert await daemon(meanwhile, *torture(word)) == "left 0"
    assert living(word) == []


def test_who_does_not_adopt_leaves_strangers_alone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        killed = Children().end_strangers()
        alive = psutil.pid_exists(stranger.pid) and stranger.poll() is None
        stranger.kill()

    assert (killed, alive) == ((0, 0), True)


async def test_while_a_child_is_being_started_nobody_is_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    family = Children()
    monkeypatch.setattr(family, "_adopting", True)
    monkeypatch.setattr(family, "_ours", {child.pid for child in psutil.Process().children()})
    process = await family.start("/bin/sleep", "60")
    assert process.pid not in set(family.strangers())
    family.ended(process)
    assert process.pid in set(family.strangers())
    monkeypatch.setattr(family, "_starting", 1)

    assert list(family.strangers()) == []
    process.kill()
    await process.wait()
    assert os.getpid() > 0


async def test_a_stranger_that_came_while_a_child_was_being_started_is_ended_when_that_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = Children()
    monkeypatch.setattr(family, "_adopting", True)
    monkeypatch.setattr(family, "_ours", {child.pid for child in psutil.Process().children()})
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        looking = group.create_task(family.look_after())
        await asyncio.sleep(0)
        with subprocess.Popen(["/bin/sleep", "60"]) as stranger:  # noqa: ASYNC220 - it is to start at once
            ours = await family.start("/bin/sleep", "60")
            await asyncio.to_thread(stranger.wait)
        alive = ours.returncode is None
        looking.cancel()
        ours.kill()
        await ours.wait()

    assert alive
