"""How a tree is started, and when it is there."""

import asyncio
import os
import sys
import time
from pathlib import Path

from rig.torture import census, tree

PYTHON = os.path.realpath(sys.executable)
"""A run can see it; it may not see a venv."""
PART = 0.9
"""The part of the tree that must be there: those that fork on may just be between two."""
PATIENCE = 30.0
"""Seconds that anything may take before a trial is given up."""


class TrialFailed(Exception):
    """It did not come to an end that could be judged. The text says what was seen."""


def command(program: Path, word: str, *, leave: bool) -> list[str]:
    """What grows a tree with this word."""
    return [PYTHON, "-ISE", str(program), word, *(["--leave"] if leave else [])]


async def grown(root: int, word: str) -> None:
    """Wait until the tree with this word is there, below `root`."""
    until = time.monotonic() + PATIENCE
    while (found := census.with_word(root, word)) < PART * tree.PROCESSES:
        if time.monotonic() > until:
            raise TrialFailed(f"only {found} of {tree.PROCESSES} processes were there after {PATIENCE:.0f} s")
        await asyncio.sleep(census.LOOK_EVERY)
