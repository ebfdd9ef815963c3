"""`make demo` without and with a terminal: it works, it goes on where it stopped, and nothing of it is left running."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from aiagentchat.process.inside import landlock
from aiagentchat.process.sandbox.ladder import REACH
from rig.setup import OVERRIDE, ROOT, synapse_python
from rig.unprivileged import as_unprivileged, own
from tests.docs.command_blocks import blocks
from tests.e2e.terminal import Terminal, in_terminal
from tests.e2e.test_bare_machine import checkout

WITHIN = 100.0
"""Seconds for one run without a terminal."""
CHATTING = "demo · Enter sends"

STRICT = "Isolation: strict (bubblewrap). What the agent runs sees only this room"

pytestmark = pytest.mark.real
with_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


class Place:
    """Where one demo keeps its things."""

    def __init__(self, folder: Path) -> None:
        self.state, self.rooms = folder / "state", folder / "rooms"
        self.argv = [sys.executable, "-m", "rig.demo", "--state", str(self.state), "--rooms", str(self.rooms)]
        # An empty HOME and nothing else; the homeserver that the other tests use need not be installed again.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), OVERRIDE: str(synapse_python())}

    def run(self, *before: str) -> subprocess.CompletedProcess[str]:
        """Run it without a terminal."""
        return subprocess.run(
            [*before, *self.argv],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.env,
            cwd=ROOT,
            timeout=WITHIN,
        )

    def processes(self) -> list[psutil.Process]:
        """Everything that has to do with it: by its arguments, its environment or its folder."""
        return [process for process in psutil.process_iter() if self._concerns(process)]

    def _concerns(self, process: psutil.Process) -> bool:
        mark = str(self.state.parent)
        with suppress(psutil.Error):
            seen = [*process.cmdline(), *process.environ().values(), process.cwd()]
            return process.pid != os.getpid() and any(mark in text for text in seen)
        return False

    @contextmanager
    def in_no_way_left(self) -> Iterator[None]:
        """Nothing of it runs when the block ends, and if something does it is ended for the other tests' sake."""
        yield
        left = self.processes()
        described = [(process.pid, process.cmdline()) for process in left]
        for process in left:
            process.kill()
        assert described == []


@pytest.fixture
def place(workplace: Path) -> Iterator[Place]:
    """With a port of last time that nobody else is given: tests that run side by side would meet on the first one."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        made = Place(workplace)
        made.state.mkdir(mode=0o700)
        (made.state / "state.json").write_text(json.dumps({"port": reserved.getsockname()[1]}), "utf-8")
        own(workplace)
        yield made


def test_without_a_terminal_it_shows_a_conversation_and_a_second_run_goes_on(place: Place) -> None:
    with place.in_no_way_left():
        first = place.run()
        kept = (place.state / "state.json").read_text("utf-8")
        second = place.run()

    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stderr) == (0, "")
    assert "No API key: an offline model answers" in first.stdout
    assert "you:\n    write hello.txt saying Hello from the demo\n" in first.stdout
    assert "May the agent use" in first.stdout
    assert "the demo itself allowed it" in first.stdout
    assert "claude:\n    Done." in first.stdout
    assert (place.rooms / "demo" / "hello.txt").read_text("utf-8") == "Hello from the demo\n"
    assert "as you left them" not in first.stdout
    assert "as you left them" in second.stdout
    assert kept == (place.state / "state.json").read_text("utf-8")
    assert _session(first.stdout) == _session(second.stdout)
    assert [(place.state / name).stat().st_mode & 0o777 for name in _SECRET] == [0o600] * len(_SECRET)


_SECRET = ("state.json", "you.token", "claude.token")


@pytest.mark.long
def test_typed_as_the_tutorial_has_it_in_a_checkout_it_shows_the_conversation(place: Place) -> None:
    """With what is installed here already; tests/e2e/test_bare_machine.py installs everything anew."""
    tree = place.state.parent / "checkout"
    checkout(tree)
    place.state.rename(tree / ".demo")
    (tree / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (tree / ".venv" / name).symlink_to(ROOT / ".venv" / name)
    (tree / ".venv/installed").touch()
    (tree / ".rig").symlink_to(ROOT / ".rig")
    [block] = [each for each in blocks("docs/tutorial/first-room.md") if each.text.startswith("make ")]
    with place.in_no_way_left():
        done = subprocess.run(
            ["sh", "-c", block.text],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=place.env,
            cwd=tree,
            timeout=WITHIN,
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert "claude:\n    Done." in done.stdout
    assert (tree / "rooms/demo/hello.txt").read_text("utf-8") == "Hello from the demo\n"


def _session(printed: str) -> str:
    return printed.rpartition("session ")[2].split()[0]


@with_bubblewrap
@pytest.mark.long
def test_an_ordinary_user_can_run_it_in_strict(workplace: Path) -> None:
    place = Place(workplace)  # the one with the first port
    with place.in_no_way_left():
        ended = place.run(*as_unprivileged())

    assert (ended.returncode, ended.stderr) == (0, "")
    assert STRICT in ended.stdout
    assert (place.rooms / "demo" / "hello.txt").exists()


@with_bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="only root's rooms are users of their own")
@pytest.mark.long
def test_roots_room_is_a_user_of_its_own(place: Place) -> None:
    place.state.parent.chmod(0o711)
    with place.in_no_way_left():
        ended = place.run()
    made = place.rooms / "demo" / "hello.txt"

    assert (ended.returncode, ended.stderr) == (0, "")
    assert STRICT in ended.stdout
    assert made.stat().st_uid == 200_000
    open_to_others = [path.name for path in place.state.iterdir() if path.stat().st_mode & 0o004]
    assert open_to_others == ["lock"]


@pytest.mark.skipif(os.geteuid() != 0 or landlock.abi() < 1, reason="needs root, and Landlock")
@pytest.mark.long
def test_root_in_a_folder_that_is_closed_to_others_gets_less_and_is_told_why(place: Place) -> None:
    for path in (place.state.parent, place.state, *place.state.iterdir()):
        os.chown(path, 0, 0)
    place.state.parent.chmod(0o700)
    with place.in_no_way_left():
        ended = place.run()
    lines = [line for line in ended.stdout.splitlines() if line.startswith("Isolation: ")]

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(lines) == 1
    assert lines[0].startswith("Isolation: landlock. What the agent runs here cannot read other rooms, but can change")
    assert REACH in lines[0]
    assert lines[0].endswith(f"({place.state.parent} is closed to the users of the rooms)")
    assert (place.rooms / "demo" / "hello.txt").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide bubblewrap")
@pytest.mark.parametrize("before", [[], as_unprivileged()], ids=["root", "an ordinary user"])
@pytest.mark.long
def test_without_bubblewrap_it_gets_less_and_names_the_command(place: Place, before: list[str]) -> None:
    place.state.parent.chmod(0o711)
    with place.in_no_way_left():
        ended = place.run(*_HIDDEN, *before)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Isolation: strict" not in ended.stdout
    assert " For strict: apt-get install bubblewrap (Fedora: dnf install bubblewrap)\n" in ended.stdout
    assert (place.rooms / "demo" / "hello.txt").exists()


_HIDE = 'for file in $(command -v bwrap); do mount --bind /dev/null "$file"; done; exec "$@"'
_HIDDEN = ["unshare", "--mount", "sh", "-c", _HIDE, "sh"]


@pytest.mark.long
async def test_with_a_terminal_one_chats_and_leaving_ends_everything(place: Place) -> None:
    with place.in_no_way_left():
        async with _demo(place) as terminal:
            await terminal.until(CHATTING)
            terminal.type("write note.txt saying good morning\r")
            await terminal.until("y  allow once")
            terminal.type("y")
            await terminal.until("Done.")
            terminal.type("\x04")
            assert await terminal.ended() == 0

    assert "password" in terminal.picture.text
    assert "Isolation: " in terminal.picture.text
    assert (place.rooms / "demo" / "note.txt").read_text("utf-8") == "good morning\n"


@pytest.mark.long
async def test_a_signal_ends_everything_also_in_the_middle_of_a_turn(place: Place) -> None:
    with place.in_no_way_left():
        async with _demo(place) as terminal:
            await terminal.until(CHATTING)
            before = terminal.modes
            terminal.type("count to 100\r")
            await terminal.until("1, 2, 3")
            terminal.process.terminate()
            assert await terminal.ended() == 128 + signal.SIGTERM
            assert terminal.modes != before
            assert terminal.modes[3] & 0o12 == 0o12  # ECHO and ICANON


@pytest.mark.long
async def test_what_a_killed_demo_left_is_ended_by_the_next_one_and_no_other_starts_beside_it(place: Place) -> None:
    with place.in_no_way_left():
        async with _demo(place) as terminal:
            await terminal.until(CHATTING)
            beside = place.run()
            for process in place.processes():
                if "rig.demo" in process.cmdline():
                    process.kill()
            await terminal.ended()
        left = {name for process in place.processes() for name in process.cmdline() if name in _LONG_LIVED}
        ended = place.run()

    assert beside.returncode == 1
    assert "Another demo runs" in beside.stderr
    assert left == _LONG_LIVED
    assert "Ended what an earlier demo left running" in ended.stdout
    assert ended.returncode == 0


_LONG_LIVED = {"synapse.app.homeserver", "aiagentchat"}


@pytest.mark.long
def test_a_failure_is_a_sentence_that_names_the_log(place: Place) -> None:
    place.rooms.mkdir()
    (place.rooms / "demo").symlink_to("/")
    with place.in_no_way_left():
        ended = place.run()

    assert ended.returncode == 1
    assert ended.stderr.startswith("✗ The daemon ended while it started.\n")
    assert str(place.state / "daemon.log") in ended.stderr
    assert "Traceback" not in ended.stderr


def _demo(place: Place) -> AbstractAsyncContextManager[Terminal]:
    return in_terminal(place.argv, {**place.env, "TERM": "xterm-256color"}, columns=100, rows=40)
