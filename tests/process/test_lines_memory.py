"""How much memory a line takes that is longer than memory should ever have to hold."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.long_line import BYTES
from tests.process.trees import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
MOST = 64 * 2**20


@pytest.mark.parametrize(
    ("way", "said"),
    [
        pytest.param("stdout", f"[TooLong(bytes={BYTES}), b'after'] ", marks=pytest.mark.long, id="on stdout"),
        pytest.param("stderr", "[] after", marks=pytest.mark.long, id="on stderr"),
        pytest.param("agent", "completed", id="from an agent"),
    ],
)
async def test_a_line_of_2_gib_makes_its_reader_grow_by_less_than_64_mib(way: str, said: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.process.long_line", way, str(tmp_path)),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found = json.loads(out.splitlines()[-1])

    assert found["said"] == said
    assert found["grown"] < MOST
