"""A small program of ours that works on what a room has made is held to limits, as a run is."""

from pathlib import Path

import pytest

from aiagentchat.core.isolation import Isolation, RunLimits
from aiagentchat.execute.aside import Aside
from aiagentchat.process.sandbox.cell import Cell

HOG = "import time; held = bytearray(256 << 20); time.sleep(300)"
CROWD = "import subprocess, time; held = [subprocess.Popen(['sleep', '300']) for _ in range(20)]; time.sleep(300)"


@pytest.mark.parametrize(
    ("program", "limit"), [pytest.param(HOG, "memory", id="memory"), pytest.param(CROWD, "processes", id="processes")]
)
async def test_what_takes_too_much_is_ended(tmp_path: Path, program: str, limit: str) -> None:
    limits = RunLimits(processes=15, memory=128)
    cell = Cell(workspace=tmp_path / "home", home=tmp_path / "home", limits=limits)
    cell.home.mkdir()

    said = await Aside(Isolation.NONE).said(cell, ["-c", program], seconds=60, name="aside")

    assert said == f"it was ended: too much of {limit}"


async def test_what_it_says_is_its_last_line(tmp_path: Path) -> None:
    cell = Cell(workspace=tmp_path / "home", home=tmp_path / "home")
    cell.home.mkdir()

    assert await Aside(Isolation.NONE).said(cell, ["-c", "print('{\"a\": 1}')"], seconds=60, name="aside") == {"a": 1}
