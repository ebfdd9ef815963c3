"""Real process trees that are certain to end, and a look at what is left of them."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from aiagentchat.process.lines import TooLong
from aiagentchat.process.tree import Tree
from rig.torture import tree as torture_tree

PATIENCE = 20.0
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
TORTURE = Path(torture_tree.__file__)


def mark() -> str:
    """A word for argv, by which survivors are found."""
    return f"mark-{uuid.uuid4().hex}"


def torture(word: str) -> list[str]:
    """The command of the torture tree."""
    return [sys.executable, "-ISE", str(TORTURE), word]


def shell(text: str, word: str = "unmarked") -> list[str]:
    """The command of a shell; its own argv, and that of what it forks, holds the mark."""
    return ["/bin/sh", "-c", text, word]


def living(word: str) -> list[psutil.Process]:
    """The processes with this word in argv; a zombie has no argv."""
    return [each for each in psutil.process_iter() if word in _argv(each)]


def argvs(word: str) -> list[tuple[int, list[str]]]:
    """Pid and argv of each; one that ends while we look has none."""
    found = [(each.pid, _argv(each)) for each in psutil.process_iter()]
    return [(pid, argv) for pid, argv in found if word in argv]


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def zombies() -> list[int]:
    """Our own children that ended and that nobody has reaped."""
    return [each.pid for each in psutil.Process().children() if each.status() == psutil.STATUS_ZOMBIE]


@asynccontextmanager
async def growing(command: Sequence[str], cwd: Path) -> AsyncIterator[Tree]:
    """A tree that is served while the block runs, and gone after it."""
    async with asyncio.timeout(PATIENCE):
        tree = await Tree.start(command, env=ENVIRONMENT, cwd=cwd)
        async with asyncio.TaskGroup() as group:
            group.create_task(tree.serve())
            try:
                yield tree
            finally:
                tree.end()


async def output(tree: Tree) -> list[bytes | TooLong]:
    """All of its stdout."""
    return [line async for line in tree.lines()]


async def first_line(tree: Tree) -> bytes | TooLong:
    """The next line of its stdout."""
    async for line in tree.lines():
        return line
    raise AssertionError("it said nothing")
