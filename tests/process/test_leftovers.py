"""What an earlier life has left is found by its run's id, or by its user, and ended; nobody else is."""

import os
import subprocess
from pathlib import Path

import pytest

from aiagentchat.process.leftovers import MARKER, clear_sockets, end_leftovers

ROOT = os.geteuid() == 0


def sleeper(*, run: str, uid: int | None = None) -> subprocess.Popen[bytes]:
    """A process of a run."""
    return subprocess.Popen(["/bin/sleep", "77"], env={MARKER: run}, user=uid, start_new_session=True)


async def test_what_carries_the_id_of_a_run_is_ended_and_counted() -> None:
    left = [sleeper(run="mine") for _ in range(3)]
    other = sleeper(run="another")
    counts = await end_leftovers({"mine": None, "gone": None})

    assert counts == {"mine": 3}
    assert [process.wait(5) for process in left] == [-9] * 3
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.skipif(not ROOT, reason="needs root")
async def test_what_runs_as_the_rooms_user_is_ended_also_without_the_id() -> None:
    uid = 262_007
    hidden = sleeper(run="", uid=uid)
    counts = await end_leftovers({"mine": uid})

    assert counts == {"mine": 1}
    assert hidden.wait(5) == -9


async def test_nothing_left_is_nothing_done() -> None:
    assert await end_leftovers({"no such run": None}) == {}


def test_sockets_of_an_earlier_life_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "gates"
    os.umask(0o077)  # as the daemon has it
    clear_sockets(folder)
    (folder / "a.sock").touch()
    (folder / "kept").touch()
    clear_sockets(folder)

    assert [file.name for file in folder.iterdir()] == ["kept"]
    assert folder.stat().st_mode & 0o777 == (0o711 if ROOT else 0o700)
