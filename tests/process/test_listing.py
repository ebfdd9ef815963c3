"""The newest files of a folder that a room has made."""

import os
from pathlib import Path

import pytest

from aiagentchat.core.errors import NotOpened
from aiagentchat.process import listing
from aiagentchat.process.beneath import open_folder_beneath
from aiagentchat.process.listing import Found, newest


def put(place: Path, moment: float = 0, data: bytes = b"") -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    os.utime(place, (moment, moment))


def test_the_newest_come_first_from_all_folders(tmp_path: Path) -> None:
    put(tmp_path / "a", 1)
    put(tmp_path / "b/c/d", 3, b"four")
    put(tmp_path / "b/e", 2)
    found = newest(tmp_path, "", 2)

    assert found.files == [Found(3.0, "b/c/d", 4), Found(2.0, "b/e", 0)]
    assert (found.count, found.whole) == (3, True)
    assert [each.path for each in newest(tmp_path, "b/c", 9).files] == ["b/c/d"]


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    put(tmp_path / "node_modules/a")

    assert newest(tmp_path, "", 9).files == []


@pytest.mark.parametrize("folder", ["..", "/etc", "missing", "link", "file", "a/../.."])
def test_only_a_folder_beneath_is_listed(tmp_path: Path, folder: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    put(tmp_path / "file")

    with pytest.raises(NotOpened):
        newest(tmp_path, folder, 9)


def test_what_is_looked_at_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_ENTRIES", 3)
    for number in range(5):
        put(tmp_path / str(number))
    found = newest(tmp_path, "", 9)

    assert (found.count, found.whole) == (3, False)


def test_a_folder_that_is_gone_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a/b")
    put(tmp_path / "c")

    def gone(root: Path, folder: str) -> int:
        (root / folder / "b").unlink()
        (root / folder).rmdir()
        return open_folder_beneath(root, folder)

    monkeypatch.setattr(listing, "open_folder_beneath", gone)

    assert [each.path for each in newest(tmp_path, "", 9).files] == ["c"]
