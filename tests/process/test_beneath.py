"""What a room can put in our way, and that nothing of it is opened: in one step, and name by name."""

import ctypes
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiagentchat.core.errors import NotOpened
from aiagentchat.process import beneath
from aiagentchat.process.beneath import (
    Way,
    Why,
    create_beneath,
    either_way,
    in_one_step,
    make_folder_beneath,
    name_by_name,
    open_beneath,
    open_folder_beneath,
)

SECRET = b"the daemon's own"
RACES = 3_000
"""How often it is tried to be caught; bounded by count, so that it takes as long as the machine needs."""

both_ways = pytest.mark.parametrize("way", [in_one_step, name_by_name])


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A workspace, with a secret beside it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(SECRET)
    made = tmp_path / "room"
    (made / "deep" / "er").mkdir(parents=True)
    for name in ("fine", "deep/fine", "deep/er/fine"):
        (made / name).write_bytes(name.encode())
    return made


def read(root: Path | int, relative: str, *, way: Way = either_way, most_bytes: int | None = None) -> bytes:
    """What is in a file, opened beneath `root`."""
    descriptor = open_beneath(root, relative, most_bytes=most_bytes, way=way)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a listing, not paths


def why(attempt: Callable[[], object]) -> str:
    """The word for which it was refused; nothing stays open."""
    before = open_files()
    with pytest.raises(NotOpened) as refused:
        attempt()
    assert open_files() == before
    return refused.value.why


# ── what is opened ────────────────────────────────────────────────────────────────────────────────────────────────


@both_ways
@pytest.mark.parametrize("name", ["fine", "deep/fine", "deep/er/fine"])
def test_a_plain_file_is_read(room: Path, way: Way, name: str) -> None:
    before = open_files()

    assert read(room, name, way=way) == name.encode()
    assert open_files() == before


@both_ways
def test_a_folder_that_is_open_already_serves_as_well(room: Path, way: Way) -> None:
    top = os.open(room, os.O_PATH | os.O_DIRECTORY)
    try:
        assert read(top, "deep/fine", way=way) == b"deep/fine"
    finally:
        os.close(top)


@both_ways
def test_a_name_that_is_no_utf_8_is_as_good_as_another(room: Path, way: Way) -> None:
    name = os.fsdecode(b"caf\xe9")
    (room / name).write_bytes(b"tea")

    assert read(room, name, way=way) == b"tea"


@both_ways
def test_a_descriptor_is_not_inherited(room: Path, way: Way) -> None:
    descriptor = open_beneath(room, "fine", way=way)
    try:
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


@both_ways
def test_a_file_of_just_the_size_is_opened_and_a_larger_one_not(room: Path, way: Way) -> None:
    assert read(room, "fine", way=way, most_bytes=4) == b"fine"
    assert why(lambda: open_beneath(room, "fine", way=way, most_bytes=3)) == Why.SIZE


@both_ways
def test_without_a_size_an_endless_file_is_opened(room: Path, way: Way) -> None:
    os.truncate((room / "fine"), 1 << 40)

    assert read(room, "fine", way=way) == b"fine" + b"\0" * 96


@both_ways
def test_a_folder_is_opened_to_be_listed(room: Path, way: Way) -> None:
    descriptor = open_folder_beneath(room, "deep", way=way)
    try:
        assert sorted(os.listdir(descriptor)) == ["er", "fine"]  # noqa: PTH208 - of a descriptor
    finally:
        os.close(descriptor)


# ── every trick ───────────────────────────────────────────────────────────────────────────────────────────────────


def _link(target: str) -> Callable[[Path], None]:
    def plant(room: Path) -> None:
        (room / "trick").symlink_to(target.format(room=room, secrets=room.parent / "secrets"))

    return plant


def _nothing(_: Path) -> None: ...


def _hard_link(room: Path) -> None:
    (room / "trick").hardlink_to(room.parent / "secrets" / "key")


def _pipe(room: Path) -> None:
    os.mkfifo(room / "trick")


def _socket(room: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        folder = os.open(room, os.O_PATH)
        try:
            made.bind(f"/proc/self/fd/{folder}/trick")  # a path of its own may be too long for a socket
        finally:
            os.close(folder)


def _folder(room: Path) -> None:
    (room / "trick").mkdir()


def _sparse(room: Path) -> None:
    with (room / "trick").open("wb") as file:
        file.truncate(1 << 40)


def _closed(room: Path) -> None:
    (room / "trick").mkdir(mode=0)


TRICKS = [
    pytest.param(_nothing, "../secrets/key", Why.OUTSIDE, id="dots"),
    pytest.param(_nothing, "deep/../../secrets/key", Why.OUTSIDE, id="dots further down"),
    pytest.param(_nothing, "deep/../fine", Why.OUTSIDE, id="dots that would come back"),
    pytest.param(_nothing, "..", Why.OUTSIDE, id="dots alone"),
    pytest.param(_nothing, "/etc/passwd", Why.OUTSIDE, id="a whole path"),
    pytest.param(_nothing, "", Why.NAME, id="no name"),
    pytest.param(_nothing, ".", Why.NAME, id="the folder itself"),
    pytest.param(_nothing, "./fine", Why.NAME, id="a dot before it"),
    pytest.param(_nothing, "deep//fine", Why.NAME, id="an empty name on the way"),
    pytest.param(_nothing, "fine/", Why.NAME, id="a slash at the end"),
    pytest.param(_nothing, "fine\0.txt", Why.NAME, id="NUL"),
    pytest.param(_nothing, "fine\ud800", Why.NAME, id="half a character"),
    pytest.param(_nothing, "x" * 256, Why.NAME, id="a name that is too long"),
    pytest.param(_nothing, "gone", Why.MISSING, id="nothing"),
    pytest.param(_nothing, "gone/fine", Why.MISSING, id="nothing on the way"),
    pytest.param(_nothing, "fine/fine", Why.KIND, id="a file on the way"),
    pytest.param(_link("../secrets/key"), "trick", Why.LINK, id="a link to a file"),
    pytest.param(_link("{secrets}/key"), "trick", Why.LINK, id="a link with a whole path"),
    pytest.param(_link("fine"), "trick", Why.LINK, id="a link that stays inside"),
    pytest.param(_link("gone"), "trick", Why.LINK, id="a link to nothing"),
    pytest.param(_link("trick"), "trick", Why.LINK, id="a link to itself"),
    pytest.param(_link("{secrets}"), "trick/key", Why.LINK, id="a link to a folder"),
    pytest.param(_link("deep"), "trick/fine", Why.LINK, id="a link to a folder inside"),
    pytest.param(_link("/proc/self/root/{secrets}/key"), "trick", Why.LINK, id="a link through the root of a process"),
    pytest.param(_link("/proc/self/root"), "trick/etc/passwd", Why.LINK, id="a link to the root of a process"),
    pytest.param(_link("/proc/self/fd/0"), "trick", Why.LINK, id="a link to a descriptor"),
    pytest.param(_link("/proc/self/environ"), "trick", Why.LINK, id="a link to the environment"),
    pytest.param(_link("/dev/zero"), "trick", Why.LINK, id="a link to a device"),
    pytest.param(_hard_link, "trick", Why.LINKED, id="a hard link"),
    pytest.param(_pipe, "trick", Why.KIND, id="a pipe"),
    pytest.param(_pipe, "trick/fine", Why.KIND, id="a pipe on the way"),
    pytest.param(_socket, "trick", Why.KIND, id="a socket"),
    pytest.param(_folder, "trick", Why.KIND, id="a folder"),
    pytest.param(_sparse, "trick", Why.SIZE, id="a sparse file"),
]


@both_ways
@pytest.mark.parametrize(("plant", "name", "expected"), TRICKS)
def test_a_trick_is_refused(room: Path, way: Way, plant: Callable[[Path], None], name: str, expected: Why) -> None:
    plant(room)

    assert why(lambda: open_beneath(room, name, most_bytes=1 << 30, way=way)) == expected


@both_ways
@pytest.mark.parametrize(
    ("plant", "name", "expected"),
    [
        pytest.param(_nothing, "../secrets", Why.OUTSIDE, id="dots"),
        pytest.param(_link("{secrets}"), "trick", Why.LINK, id="a link"),
        pytest.param(_nothing, "fine", Why.KIND, id="a file"),
        pytest.param(_pipe, "trick", Why.KIND, id="a pipe"),
    ],
)
def test_what_is_no_folder_is_not_listed(
    room: Path, way: Way, plant: Callable[[Path], None], name: str, expected: Why
) -> None:
    plant(room)

    assert why(lambda: open_folder_beneath(room, name, way=way)) == expected


@both_ways
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_refused(room: Path, way: Way) -> None:
    os.mknod(room / "trick", 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero

    assert why(lambda: open_beneath(room, "trick", way=way)) == Why.KIND


@both_ways
@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_what_we_may_not_read_is_refused(room: Path, way: Way) -> None:
    _closed(room)

    assert why(lambda: open_beneath(room, "trick/fine", way=way)) == Why.FAILED


@both_ways
def test_a_root_that_is_a_link_or_gone_is_refused(room: Path, way: Way) -> None:
    (room.parent / "link").symlink_to(room)

    assert why(lambda: open_beneath(room.parent / "link", "fine", way=way)) == Why.KIND
    assert why(lambda: open_beneath(room.parent / "gone", "fine", way=way)) == Why.MISSING


_IN_A_NAMESPACE = """
import ctypes, os, sys
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)
room = Path(sys.argv[1])
assert libc.unshare(0x10000000 | 0x00020000) == 0, ctypes.get_errno()  # a user and a mount namespace
assert libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0, ctypes.get_errno()  # private
for source, target in ((room.parent / "secrets", room / "deep"), (room.parent / "secrets" / "key", room / "fine")):
    assert libc.mount(os.fsencode(source), os.fsencode(target), None, 0x1000, None) == 0, ctypes.get_errno()  # bind
from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import in_one_step, name_by_name, open_beneath
for way in (in_one_step, name_by_name):
    for name in ("deep/key", "fine"):
        try:
            print(os.read(open_beneath(room, name, way=way), 100))
        except NotOpened as error:
            print(error.why)
"""


def test_what_is_mounted_inside_is_refused_in_both_ways(room: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _IN_A_NAMESPACE, str(room)], check=False, capture_output=True, text=True, timeout=30
    )
    if "AssertionError: 1" in ran.stderr:
        pytest.skip("nobody may mount here")

    assert ran.stdout.split() == [Why.MOUNT] * 4, ran.stderr


# ── when the kernel has no openat2 ────────────────────────────────────────────────────────────────────────────────

_FILTERED = """
import ctypes, os, struct, sys
LOAD, EQUAL, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
program = b"".join(struct.pack("HBBI", *line) for line in (
    (LOAD, 0, 0, 0), (EQUAL, 0, 1, 437), (RETURN, 0, 0, ERRNO | int(sys.argv[2])), (RETURN, 0, 0, ALLOW)))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Filter(4, program))) == 0
from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import in_one_step, open_beneath
try:
    in_one_step(os.open(sys.argv[1], os.O_PATH), "fine", os.O_RDONLY)
except OSError as error:
    print(error.errno)
print(os.read(open_beneath(sys.argv[1], "fine"), 100).decode())
try:
    open_beneath(sys.argv[1], "link")
except NotOpened as error:
    print(error.why)
"""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_where_the_kernel_refuses_the_one_step_it_goes_name_by_name(room: Path, number: int) -> None:
    (room / "link").symlink_to("../secrets/key")
    ran = subprocess.run(
        [sys.executable, "-c", _FILTERED, str(room), str(number)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ran.stdout.split() == [str(number), "fine", Why.LINK], ran.stderr


def test_here_the_kernel_has_it(room: Path) -> None:
    # Else every other test of the one step would only have tested the other way.
    folder = os.open(room, os.O_PATH)
    try:
        os.close(in_one_step(folder, "fine", os.O_RDONLY))
    finally:
        os.close(folder)


# ── races ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def meanwhile(step: Callable[[], None]) -> Iterator[None]:
    """Something that a room does over and over, in a thread of its own, while we do something else."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def outcomes(attempt: Callable[[], bytes]) -> set[object]:
    """Everything that came of so many attempts."""
    found: set[object] = set()
    for _ in range(RACES):
        try:
            found.add(attempt())
        except NotOpened as error:
            found.add(error.why)
    return found


def exchange(folder: Path, one: str, other: str) -> None:
    """Swap two names, with no moment between in which one is missing."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = [ctypes.c_char_p(os.fsencode(folder / name)) for name in (one, other)]
    assert libc.renameat2(-100, paths[0], -100, paths[1], 2) == 0, ctypes.get_errno()


@both_ways
def test_a_folder_that_turns_into_a_link_while_we_look_never_leads_out(room: Path, way: Way) -> None:
    (room / "swapped").mkdir()
    (room / "swapped" / "key").write_bytes(b"the room's own")
    (room / "link").symlink_to("../secrets")
    with meanwhile(lambda: exchange(room, "swapped", "link")):
        found = outcomes(lambda: read(room, "swapped/key", way=way))

    # Name by name, the link can also be met where a folder was looked at a moment before.
    assert {b"the room's own", Why.LINK} <= found <= {b"the room's own", Why.LINK, Why.KIND}


@both_ways
def test_a_file_that_turns_into_a_link_while_we_look_never_leads_out(room: Path, way: Way) -> None:
    (room / "link").symlink_to("../secrets/key")
    with meanwhile(lambda: exchange(room, "fine", "link")):
        found = outcomes(lambda: read(room, "fine", way=way))

    assert SECRET not in found
    assert found <= {b"fine", Why.LINK, Why.LINKED}


@both_ways
def test_a_hard_link_that_comes_and_goes_while_we_look_is_never_read(room: Path, way: Way) -> None:
    def come_and_go() -> None:
        (room / "trick").hardlink_to(room.parent / "secrets" / "key")
        (room / "trick").unlink()

    with meanwhile(come_and_go):
        found = outcomes(lambda: read(room, "trick", way=way))

    assert SECRET not in found
    assert Why.LINKED in found


# ── what is made ──────────────────────────────────────────────────────────────────────────────────────────────────


@both_ways
def test_a_new_file_is_private_and_can_be_written(room: Path, way: Way) -> None:
    descriptor = create_beneath(room, "deep/new", way=way)
    os.write(descriptor, b"tea")
    os.close(descriptor)

    assert (room / "deep" / "new").read_bytes() == b"tea"
    assert (room / "deep" / "new").stat().st_mode & 0o777 == 0o600


@both_ways
@pytest.mark.parametrize(
    ("plant", "name", "expected"),
    [
        pytest.param(_nothing, "fine", Why.EXISTS, id="a file is there"),
        pytest.param(_link("../secrets/new"), "trick", Why.EXISTS, id="a link to nothing yet"),
        pytest.param(_link("../secrets/key"), "trick", Why.EXISTS, id="a link to a file"),
        pytest.param(_hard_link, "trick", Why.EXISTS, id="a hard link"),
        pytest.param(_pipe, "trick", Why.EXISTS, id="a pipe"),
        pytest.param(_link("{secrets}"), "trick/new", Why.LINK, id="a link on the way"),
        pytest.param(_nothing, "../secrets/new", Why.OUTSIDE, id="dots"),
        pytest.param(_nothing, "/tmp/new", Why.OUTSIDE, id="a whole path"),
        pytest.param(_nothing, "gone/new", Why.MISSING, id="no folder"),
        pytest.param(_nothing, "fine/new", Why.KIND, id="a file in place of the folder"),
    ],
)
def test_nothing_is_made_through_a_trick(
    room: Path, way: Way, plant: Callable[[Path], None], name: str, expected: Why
) -> None:
    plant(room)

    assert why(lambda: create_beneath(room, name, way=way)) == expected
    assert [file.name for file in (room.parent / "secrets").iterdir()] == ["key"]
    assert (room.parent / "secrets" / "key").read_bytes() == SECRET


@both_ways
def test_folders_are_made_where_they_are_missing(room: Path, way: Way) -> None:
    make_folder_beneath(room, "deep/new/er", way=way)
    make_folder_beneath(room, "deep/new/er", way=way)

    assert (room / "deep" / "fine").exists()
    assert [(room / "deep" / name).stat().st_mode & 0o777 for name in ("new", "new/er")] == [0o700] * 2


@both_ways
@pytest.mark.parametrize(
    ("plant", "name", "expected"),
    [
        pytest.param(_nothing, "fine", Why.KIND, id="a file in its place"),
        pytest.param(_link("{secrets}"), "trick", Why.LINK, id="a link in its place"),
        pytest.param(_link("{secrets}"), "trick/new", Why.LINK, id="a link on the way"),
        pytest.param(_link("{secrets}/new"), "trick", Why.LINK, id="a link to nothing yet"),
        pytest.param(_nothing, "../new", Why.OUTSIDE, id="dots"),
    ],
)
def test_no_folder_is_made_through_a_trick(
    room: Path, way: Way, plant: Callable[[Path], None], name: str, expected: Why
) -> None:
    plant(room)

    assert why(lambda: make_folder_beneath(room, name, way=way)) == expected
    assert [file.name for file in (room.parent / "secrets").iterdir()] == ["key"]
    assert not (room.parent / "new").exists()


@both_ways
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_whoever_the_folder_belongs_to(room: Path, way: Way) -> None:
    os.chown(room, 12_345, 12_346)
    make_folder_beneath(room, "new/er", way=way)
    os.close(create_beneath(room, "new/er/file", way=way))
    made = [(room / name).stat() for name in ("new", "new/er", "new/er/file")]

    assert [(each.st_uid, each.st_gid) for each in made] == [(12_345, 12_346)] * 3
    assert (room / "deep").stat().st_uid == 0


def test_a_refusal_says_what_and_why(room: Path) -> None:
    with pytest.raises(NotOpened) as refused:
        beneath.open_beneath(room, "gone")

    assert str(refused.value) == "'gone': No such file or directory (missing)"
