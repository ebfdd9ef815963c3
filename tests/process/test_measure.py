"""What a room's folders take, also where they were made to deceive."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aiagentchat.process.measure import Measure

MIB = 1024 * 1024


def measured(*roots: Path, steps: int = 1_000_000, since_ns: int = 0, most_entries: int = 1_000_000) -> Measure:
    """A look that is over."""
    measure = Measure(roots, since_ns=since_ns, most_entries=most_entries)
    while not measure.step(steps):
        pass
    return measure


def fill(file: Path, mib: int = 1) -> Path:
    """A file that really takes so much."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(os.urandom(mib * MIB))
    return file


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a listing, not paths


def test_what_is_in_all_folders_counts(tmp_path: Path) -> None:
    fill(tmp_path / "one" / "a")
    fill(tmp_path / "one" / "deep" / "er" / "b", 2)
    fill(tmp_path / "other" / "c", 3)
    found = measured(tmp_path / "one", tmp_path / "other", tmp_path / "gone")

    assert 6 * MIB <= found.allocated < 7 * MIB
    assert (found.largest, found.entries, found.complete) == (3 * MIB, 5, True)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_it_finds_the_same_in_small_steps_and_leaves_nothing_open(tmp_path: Path, steps: int) -> None:
    for number in range(20):
        fill(tmp_path / str(number % 3) / str(number))
    before = open_files()
    found = measured(tmp_path, steps=steps)

    assert (found.allocated, found.entries) == (measured(tmp_path).allocated, 23)
    assert open_files() == before


def test_a_look_that_is_given_up_leaves_nothing_open(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    before = open_files()
    measure = Measure([tmp_path])
    over = measure.step(3)
    measure.close()

    assert not over
    assert measure.step(3)
    assert measure.entries == 3
    assert open_files() == before


def test_a_look_can_be_given_up_while_another_thread_is_at_it(tmp_path: Path) -> None:
    for number in range(2_000):
        (tmp_path / str(number)).touch()
    before = open_files()
    for _ in range(50):
        measure = Measure([tmp_path])
        thread = threading.Thread(target=measure.step, args=(1_000_000,))
        thread.start()
        measure.close()
        thread.join()

    assert open_files() == before


def test_what_is_claimed_and_not_taken_does_not_count(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    found = measured(tmp_path)

    assert found.allocated < MIB
    assert found.largest == 1 << 40


def test_a_file_with_many_names_counts_once(tmp_path: Path) -> None:
    file = fill(tmp_path / "one" / "a")
    for number in range(5):
        (tmp_path / "one" / str(number)).hardlink_to(file)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").hardlink_to(file)

    assert MIB <= measured(tmp_path / "one", tmp_path / "other").allocated < 2 * MIB


def test_nothing_is_followed(tmp_path: Path) -> None:
    fill(tmp_path / "outside" / "a")
    room = tmp_path / "room"
    room.mkdir()
    for name, target in {"a": "../outside/a", "b": "../outside", "c": ".", "d": "/"}.items():
        (room / name).symlink_to(target)
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    found = measured(room, tmp_path / "link")

    assert found.allocated < MIB
    assert (found.entries, found.complete) == (4, True)


def test_a_folder_that_turns_into_a_link_is_not_entered(tmp_path: Path) -> None:
    fill(tmp_path / "outside" / "a", 3)
    room = tmp_path / "room"
    (room / "folder").mkdir(parents=True)
    measure = Measure([room])
    assert not measure.step(1)  # it was seen
    (room / "folder").rmdir()
    (room / "folder").symlink_to("../outside")

    assert measure.step(100)
    assert measure.allocated < MIB
    assert measure.complete


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.write_bytes(b""), lambda path: path.symlink_to(path)])
def test_what_is_no_folder_and_no_file_is_passed_by(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    plant(tmp_path / "odd")
    found = measured(tmp_path)

    assert (found.entries, found.largest, found.complete) == (1, 0, True)


def test_only_what_was_changed_since_can_be_the_largest(tmp_path: Path) -> None:
    old = fill(tmp_path / "old", 3)
    since = old.stat().st_ctime_ns + 1
    new = tmp_path / "new"
    while not new.exists() or new.stat().st_ctime_ns < since:  # the clock of a file system has coarse ticks
        new.write_bytes(b"x" * MIB)
    os.utime(new, ns=(0, 0))  # whoever made it can say that it is old

    assert measured(tmp_path, since_ns=since).largest == MIB


def test_a_tree_with_more_than_we_look_at_is_not_measured_to_its_end(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).touch()

    assert measured(tmp_path, most_entries=10).complete
    found = measured(tmp_path, tmp_path, most_entries=9)
    assert (found.entries, found.complete) == (9, False)


def test_what_is_remembered_has_an_end(tmp_path: Path) -> None:
    for number in range(10):
        fill(tmp_path / f"folder-{number}" / "a")
    measure = Measure([tmp_path], most_waiting=30)
    measure.step(1000)

    assert not measure.complete
    assert 3 * MIB <= measure.allocated < 4 * MIB


def test_a_tree_that_is_deeper_than_a_path_may_be_long_is_not_measured_to_its_end(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("x" * 200, dir_fd=at)
        inner = os.open("x" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    found = measured(tmp_path)

    assert not found.complete
    assert 15 < found.entries < 30


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_to_us_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)

    assert not measured(tmp_path).complete


def test_a_tree_that_changes_under_our_eyes_breaks_nothing(tmp_path: Path) -> None:
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            (tmp_path / "a" / "b").mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / "b" / "c").touch()
            (tmp_path / "a" / "b" / "c").unlink()
            (tmp_path / "a" / "b").rmdir()
            (tmp_path / "a").rmdir()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        looks = [measured(tmp_path) for _ in range(500)]
    finally:
        over.set()
        thread.join()

    assert all(look.complete for look in looks)
    assert {look.entries for look in looks} <= {0, 1, 2, 3}
