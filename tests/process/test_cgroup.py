"""The cgroups of runs: if a subtree is ours, on an imitation of the kernel's files; and what a real kernel does."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aiagentchat.core.isolation import RunLimits
from aiagentchat.process.cgroup import CONTROLLERS, ROOT, Cgroup, NotDelegatedError, Subtree, claim
from aiagentchat.process.tree import Tree
from tests.process import delegated
from tests.process.trees import ENVIRONMENT, PATIENCE, first_line, shell

NAME = "system.slice/aiagentchat.service"


class Imitation:
    """Files as the kernel shows them, and nothing behind them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.path = self.root / NAME
        self.own = folder / "own"
        self.path.mkdir(parents=True)
        self.own.write_text(f"1:name=systemd:/elsewhere\n0::/{NAME}\n")
        self.write("cgroup.controllers", "cpu memory pids\n")
        self.write("cgroup.procs", f"{os.getpid()}\n")
        self.write("cgroup.subtree_control", "")
        (self.path / "daemon").mkdir()
        self.write("daemon/cgroup.procs", "")
        if os.geteuid() == 0:
            os.setxattr(self.path, "trusted.delegate", b"1")

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def claim(self) -> Subtree:
        return claim(self.root, self.own)


@pytest.fixture
def imitation(tmp_path: Path) -> Imitation:
    try:
        return Imitation(tmp_path)
    except OSError as error:
        pytest.skip(f"the file system has no such attributes: {error}")


def test_a_subtree_that_was_handed_to_us_is_made_ours(imitation: Imitation) -> None:
    subtree = imitation.claim()

    assert subtree == Subtree(imitation.path)
    assert imitation.read("daemon/cgroup.procs") == str(os.getpid())
    assert imitation.read("cgroup.subtree_control") == "+memory +pids"


def test_without_a_controller_there_is_nothing_to_hold_with(imitation: Imitation) -> None:
    imitation.write("cgroup.controllers", "cpu pids\n")

    with pytest.raises(NotDelegatedError, match="has no memory controller"):
        imitation.claim()


def test_with_others_in_it_it_is_not_ours(imitation: Imitation) -> None:
    imitation.write("cgroup.procs", f"{os.getpid()}\n1\n")

    with pytest.raises(NotDelegatedError, match="has other processes"):
        imitation.claim()


def test_an_older_kernel_has_none(imitation: Imitation) -> None:
    imitation.own.write_text("4:memory:/somewhere\n")

    with pytest.raises(NotDelegatedError, match="no cgroup v2"):
        imitation.claim()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write what was not handed over")
def test_what_root_was_not_handed_stays_untouched(imitation: Imitation) -> None:
    os.removexattr(imitation.path, "trusted.delegate")

    with pytest.raises(NotDelegatedError, match="was not handed to us"):
        imitation.claim()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what is another's")
def test_the_root_of_a_containers_namespace_is_the_containers(imitation: Imitation) -> None:
    for name in ("cgroup.controllers", "cgroup.procs", "cgroup.subtree_control"):
        (imitation.root / name).write_text(imitation.read(name))
    (imitation.root / "daemon").mkdir()
    (imitation.root / "daemon" / "cgroup.procs").touch()
    imitation.own.write_text("0::/\n")

    assert imitation.claim() == Subtree(imitation.root)


def test_what_is_not_possible_leaves_everything_as_it_was(imitation: Imitation) -> None:
    (imitation.path / "cgroup.subtree_control").unlink()

    with pytest.raises(NotDelegatedError, match=r"cgroup\.subtree_control: No such file"):
        imitation.claim()
    assert imitation.read("cgroup.procs").split() == [str(os.getpid())]


def test_a_cgroup_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    with Subtree(tmp_path / "gone").cgroup("run", RunLimits()) as cgroup:
        assert cgroup is None
    # A plain folder has none of the kernel's files, and the one that was begun is taken back.
    with Subtree(tmp_path).cgroup("run", RunLimits()) as cgroup:
        assert cgroup is None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def imitated(tmp_path: Path) -> Cgroup:
    folder = tmp_path / "run-1"
    folder.mkdir()
    for name, text in (("cgroup.procs", ""), ("cgroup.kill", ""), ("memory.events", "low 0\noom_kill 3\n")):
        (folder / name).write_text(text)
    return Cgroup(folder)


async def test_a_run_joins_its_cgroup_and_what_the_kernel_held_back_is_told(tmp_path: Path, imitated: Cgroup) -> None:
    told: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(
            shell("echo up; sleep 60"), env=ENVIRONMENT, cwd=tmp_path, limits=RunLimits(), cgroup=imitated
        )
        tree.on_limit = lambda name, value: told.put_nowait((name, value))
        group.create_task(tree.serve())
        assert await first_line(tree) == b"up"
        joined = (imitated.path / "cgroup.procs").read_text()
        tree.watch()
        # Whatever is counted before the watch is of an earlier turn; the answer to `keep` says that it has begun.
        assert await tree.keep()
        quiet = told.empty()
        (imitated.path / "memory.events").write_text("low 0\noom_kill 4\n")
        limit = await told.get()
        tree.end()

    assert joined == "0"
    assert quiet
    assert limit == ("memory", RunLimits().memory)
    assert (imitated.path / "cgroup.kill").read_text() == "1"


async def test_a_run_that_cannot_join_its_cgroup_is_not_started(tmp_path: Path, imitated: Cgroup) -> None:
    (imitated.path / "cgroup.procs").unlink()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(shell("echo up"), env=ENVIRONMENT, cwd=tmp_path, cgroup=imitated)
        group.create_task(tree.serve())
        said = [line async for line in tree.lines()]

    assert said == []
    assert tree.exit_code == 127
    assert tree.gone.is_set()


@pytest.fixture
def real() -> Iterator[Path]:
    """A subtree of the machine's own tree, delegated to nobody else."""
    controllers = ROOT / "cgroup.subtree_control"
    if os.geteuid() != 0 or not controllers.exists():
        pytest.skip("needs root, and a machine with cgroup v2 alone")
    if not set(controllers.read_text().split()) >= CONTROLLERS:
        pytest.skip("the machine's cgroup hands down neither memory nor pids")
    path = ROOT / f"test-{uuid.uuid4().hex}"
    path.mkdir()
    os.setxattr(path, "trusted.delegate", b"1")
    yield path
    for each in (*path.glob("*/"), path):
        with suppress(OSError):
            each.rmdir()


@pytest.mark.parametrize("load", ["memory", "shared", "processes"])
def test_the_kernel_holds_a_run_to_its_limits(real: Path, load: str) -> None:
    argv = [sys.executable, "-m", delegated.__name__, str(real), load]
    seen = json.loads(subprocess.check_output(argv, text=True, timeout=2 * PATIENCE))

    assert seen["told"] == ["processes" if load == "processes" else "memory"]
    assert seen["daemon"] == f"0::/{real.name}/daemon"
    assert seen["run"].startswith(f"0::/{real.name}/run-")
    assert seen["left"] == ["daemon"]
