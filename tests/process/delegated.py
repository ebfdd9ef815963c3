"""Alone in a delegated cgroup: claims it, runs something greedy there, and prints what it saw as one JSON object."""

import asyncio
import json
import os
import sys
from contextlib import aclosing
from pathlib import Path

from aiagentchat.core.isolation import RunLimits
from aiagentchat.process.cgroup import Subtree, claim
from aiagentchat.process.tree import Tree

LIMITS = RunLimits(memory=64, processes=32)
LOADS = {
    "memory": "held = []\nwhile True: held.append(b'x' * 2**20)",
    "shared": "import os\nfile = os.memfd_create('held')\nwhile True: os.write(file, b'x' * 2**20)",
    "processes": "import os, time\nwhile True:\n try: os.fork() or time.sleep(60)\n except OSError: time.sleep(0.1)",
}
"""Programs; the second one's memory is in no process."""
SAY = "import sys\nprint(open('/proc/self/cgroup').read().splitlines()[-1], flush=True)\nsys.stdin.readline()\n"


async def run_into(subtree: Subtree, load: str) -> tuple[list[str], str]:
    """What was told, and the cgroup that the run was in."""
    told: list[str] = []
    reached = asyncio.Event()

    def note(name: str, _: int) -> None:
        told.append(name)
        reached.set()

    with subtree.cgroup("1", LIMITS) as cgroup:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            tree = await Tree.start(
                [sys.executable, "-ISc", SAY + LOADS[load]],
                env={"PATH": "/usr/bin:/bin"},
                cwd=Path("/"),
                limits=LIMITS,
                cgroup=cgroup,
            )
            tree.on_limit = note
            group.create_task(tree.serve())
            async with aclosing(tree.lines()) as stream:
                line = await anext(stream)
            run = line.decode() if isinstance(line, bytes) else ""
            tree.watch()
            await tree.write(b"go")
            await reached.wait()
            tree.end()
    return told, run


def main(folder: Path, load: str) -> None:
    """Move in and begin."""
    (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    subtree = claim()
    told, run = asyncio.run(run_into(subtree, load))
    daemon = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()[-1]
    left = sorted(path.name for path in folder.iterdir() if path.is_dir())
    json.dump({"told": told, "daemon": daemon, "run": run, "left": left}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
