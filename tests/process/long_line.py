"""A process that reads one line of 2 GiB, and prints by how many bytes it has grown at most, and what came of the line.

    python -m tests.process.long_line stdout|stderr|agent FOLDER

Peaks are remembered by the kernel for the whole life of a process, so whoever asks starts one for this.
"""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from aiagentchat.core.agent_events import TurnEnded
from aiagentchat.core.isolation import RunLimits
from aiagentchat.process.lines import TooLong
from aiagentchat.process.tree import Tree
from rig import fake_cli
from tests.process.trees import ENVIRONMENT
from tests.unit.claude_stage import claude, make_spec, prompt, served

BYTES = 2 * 2**30
SECONDS = 120.0
_WRITE = """
import os, sys
out, left = int(sys.argv[1]), int(sys.argv[2])
zeros = memoryview(bytes(2**20))
while left:
    left -= os.write(out, zeros[:left])
os.write(out, b"\\nafter\\n")
"""


def _peak() -> int:
    # Not `ru_maxrss`: a process that was just started has that of its parent.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


async def _piped(descriptor: int, size: int, folder: Path) -> str:
    """Through a tree's stdout or stderr."""
    said: list[bytes | TooLong] = []
    command = [sys.executable, "-ISE", "-c", _WRITE, str(descriptor), str(size)]
    tree = await Tree.start(command, env=ENVIRONMENT, cwd=folder)
    async with asyncio.TaskGroup() as group:
        group.create_task(tree.serve())
        said = [line async for line in tree.lines()]
    return f"{said} {tree.last_words}"


async def _answered(size: int, folder: Path) -> str:
    """Through the driver, from an agent."""
    spec = replace(make_spec(folder), limits=RunLimits(output=0))
    steps = f'@@stub [{{"line": {size}}}, {{"text": "after"}}] @@'
    async with served(claude(fake_cli.install(folder)), spec) as run:
        return " ".join([event.ending async for event in run.turn(prompt(steps)) if isinstance(event, TurnEnded)])


async def _read(way: str, size: int, folder: Path) -> str:
    async with asyncio.timeout(SECONDS):
        return await (_answered(size, folder) if way == "agent" else _piped(1 + (way == "stderr"), size, folder))


async def _main(way: str, folder: Path) -> None:
    await _read(way, 10, folder)  # what it takes for a short one, is not the line's
    before = _peak()
    said = await _read(way, BYTES, folder)
    sys.stdout.write(json.dumps({"grown": _peak() - before, "said": said}) + "\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))
