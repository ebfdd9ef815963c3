"""What the shim looks at: parents, children and zombies, with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagentchat.process import shim


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sh", "-c", "sleep 69 >&2 & echo $!; wait"], stdout=subprocess.PIPE) as started:
        yield started
        started.kill()


@pytest.fixture
def grandchild(child: subprocess.Popen[bytes]) -> Iterator[int]:
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    yield pid
    os.kill(pid, signal.SIGKILL)


def test_a_tree_is_everything_below(child: subprocess.Popen[bytes], grandchild: int) -> None:
    assert shim._children(child.pid) == [grandchild]
    assert {child.pid, grandchild} <= set(shim._tree(os.getpid()))


def test_a_process_that_is_gone_has_no_children_and_cannot_be_killed() -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()

    assert shim._children(gone.pid) == []
    assert not shim._kill(gone.pid)
    assert not shim._lives(shim._stat(gone.pid))


def test_a_zombie_is_no_living_descendant(child: subprocess.Popen[bytes], grandchild: int) -> None:
    assert shim._lives(shim._stat(grandchild))
    assert shim._kill(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not shim._lives(shim._stat(child.pid))
    assert child.pid not in shim._tree(os.getpid())


@pytest.mark.parametrize("module", ["process.shim", "process.inside.main"])
def test_what_a_first_message_waits_for_imports_nothing_that_takes_long(module: str) -> None:
    program = f"import sys; sys.path.append(sys.argv[1]); import {module}; print(*sys.modules)"
    argv = [sys.executable, "-ISE", "-c", program, str(Path(shim.__file__).parents[1])]
    loaded = set(subprocess.check_output(argv, text=True).split())

    assert module in loaded
    assert loaded.isdisjoint({"ctypes", "enum", "collections", "socket", "threading", "pathlib", "contextlib", "re"})


def test_a_process_whose_first_thread_has_ended_still_lives() -> None:
    program = "import ctypes, threading; threading.Thread(target=input).start(); ctypes.CDLL(None).pthread_exit(None)"
    with subprocess.Popen([sys.executable, "-ISc", program], stdin=subprocess.PIPE) as headless:
        while shim._stat(headless.pid)[0] != b"Z":
            assert headless.poll() is None
        lives, tree = shim._lives(shim._stat(headless.pid)), shim._tree(os.getpid())
        headless.kill()

    assert lives
    assert headless.pid in tree
