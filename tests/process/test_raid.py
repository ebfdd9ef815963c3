"""Every attack works where nothing stops it, and none where the sandbox does."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.assault import Assault, RaidFailed, assault
from aiagentchat.doctor.attacks import RAIDED
from aiagentchat.doctor.lab import lab
from rig.unprivileged import NOBODY, as_unprivileged, clean_env, own
from tests.process.raiding import ROOMS, verdicts, worked

ROOT = Path(__file__).parents[2]
EVERY = {attack.id for attack in RAIDED}
FOR_ROOT_ALONE = {
    "net.raw",
    "kernel.setns",
    "kernel.bpf",
    "kernel.open_by_handle",
    "system.proc_sys",
    "system.core_pattern",
    "system.cgroup",
    "system.mknod",
}
"""What nobody but root can do, with or without a sandbox."""
GAINED = {"system.setuid"}
"""What root does not need, and a process that may not gain anything cannot do."""
IS_ROOT = os.geteuid() == 0
HAS_ROUTE = any(line.split()[1] == "00000000" for line in Path("/proc/net/route").read_text().splitlines()[1:])
NO_WAY_OUT = set() if HAS_ROUTE else {"net.public", "net.metadata"}
"""What a machine without a way out cannot do."""

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def raided(*isolations: str, before: list[str]) -> list[dict[str, str]]:
    """What raids have got that were started by whoever the words `before` make of us."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "tests.process.raiding", *isolations],
        check=True,
        stdout=subprocess.PIPE,
        env=clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1", HOME="/nonexistent"),
        cwd="/",
        timeout=110,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def which(found: dict[str, str], *said: str) -> set[str]:
    """The attacks about which this was said."""
    return {id_ for id_, what in found.items() if what in said}


def test_without_a_sandbox_everything_works_that_an_ordinary_user_can_do() -> None:
    [found] = raided("none", before=as_unprivileged())

    assert EVERY - which(found, "worked") <= FOR_ROOT_ALONE | GAINED | NO_WAY_OUT


@needs_root
async def test_without_a_sandbox_everything_works_that_root_can_do() -> None:
    found = worked(await assault(Isolation.NONE, RAIDED))

    assert EVERY - which(found, "worked") <= GAINED | NO_WAY_OUT


@needs_root
def test_a_setuid_program_is_a_way_up_where_nothing_forbids_it() -> None:
    who = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    [found] = raided("none", before=who)

    assert which(found, "worked") >= GAINED


@needs_bubblewrap
def test_strict_leaks_nothing_to_an_ordinary_user() -> None:
    [found] = raided("strict", before=as_unprivileged())

    assert which(found, "fail", "warn") == set()
    assert EVERY - which(found, "ok") <= FOR_ROOT_ALONE | GAINED | NO_WAY_OUT


@needs_root
@needs_bubblewrap
async def test_strict_leaks_nothing_when_the_daemon_is_root() -> None:
    found = await verdicts(Isolation.STRICT, await assault(Isolation.NONE, RAIDED))

    assert which(found, "fail", "warn") == set()
    assert EVERY - which(found, "ok") <= GAINED | NO_WAY_OUT


@needs_root
async def test_users_of_their_own_leak_nothing() -> None:
    found = await verdicts(Isolation.USERS, await assault(Isolation.NONE, RAIDED))

    assert which(found, "fail", "warn") == set()


def ours(folder: Path) -> list[psutil.Process]:
    """The processes that a lab has started: their programs lie in it."""
    return [process for process in psutil.process_iter() if any(str(folder) in word for word in _command_line(process))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_landlock_leaks_no_more_than_is_known() -> None:
    [found] = raided("landlock", before=as_unprivileged())

    assert which(found, "fail") == set()


def left(folder: Path) -> list[object]:
    """What there is of labs in `folder`."""
    return [*folder.iterdir(), *ours(folder)]


def is_there(kind: str, id_: int) -> bool:
    """Whether a System V object exists; its id is the second word of its line."""
    return any(line.split()[1] == str(id_) for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines())


async def test_nothing_is_left_of_a_raid(workplace: Path) -> None:
    await assault(Isolation.NONE, RAIDED, place=workplace)

    assert left(workplace) == []


async def test_nothing_is_left_of_a_raid_that_is_cut_short(workplace: Path) -> None:
    begun = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        raid = group.create_task(
            assault(Isolation.NONE, RAIDED, place=workplace, progress=lambda _done, _of: begun.set())
        )
        await begun.wait()
        raid.cancel()

    assert raid.cancelled()
    assert left(workplace) == []


async def test_no_object_outlives_the_decoys(workplace: Path) -> None:
    with lab(place=workplace) as built:
        async with asyncio.TaskGroup() as group:
            attack = Assault(built, Isolation.NONE, group)
            await attack.carry_out(RAIDED, lambda _done, _of: None)

    made = attack.made
    assert made["sem"] >= 0
    assert [is_there(kind, made[kind]) for kind in ("shm", "sem", "msg")] == [False] * 3


async def test_a_raid_that_cannot_be_tried_says_why(tmp_path: Path) -> None:
    with pytest.raises(RaidFailed, match="No such file or directory"):
        await assault(Isolation.NONE, RAIDED, place=tmp_path / "nowhere")


@needs_root
async def test_a_sandbox_that_cannot_start_is_a_reason_and_no_verdict(tmp_path: Path) -> None:
    # The users of the rooms cannot get into a folder of root's: as under /root, so under `tmp_path`.
    with pytest.raises(RaidFailed):
        await assault(Isolation.USERS, RAIDED, users=ROOMS, place=tmp_path)

    assert left(tmp_path) == []


def test_a_lab_has_the_modes_of_the_real_folders(workplace: Path) -> None:
    with lab(place=own(workplace)) as made:
        folders = [made.folder, made.data, made.data / "homes" / "a", made.folder / "rooms" / "b"]
        assert [path.stat().st_mode & 0o777 for path in folders] == [0o700] * 4
        assert Path(made.paths["data.token"]).stat().st_mode & 0o777 == 0o600

    assert list(workplace.iterdir()) == []
    assert not Path(made.paths["shared.tmp_read"]).exists()


@needs_root
def test_rooms_with_users_of_their_own_own_their_folders(workplace: Path) -> None:
    with lab(ROOMS, place=workplace) as made:
        a, b = made.folder / "rooms" / "a", made.data / "homes" / "b"
        assert (a.stat().st_uid, b.stat().st_uid) == ROOMS
        assert [path.stat().st_mode & 0o777 for path in (made.folder, made.data, a)] == [0o711, 0o711, 0o700]
