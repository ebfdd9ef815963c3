"""The commands that lie in a workspace, where anything may lie."""

import os
from pathlib import Path

import pytest

from aiagentchat.core.custom_commands import MOST_BYTES
from aiagentchat.core.errors import NotOpened
from aiagentchat.process.custom_commands import MOST_LOOKED_AT, MOST_NAMES, expand, names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / ".claude/commands"
    made.mkdir(parents=True)
    return made


def test_a_workspace_without_the_folder_has_none(tmp_path: Path) -> None:
    assert names(tmp_path) == ()
    assert expand(tmp_path, "/fix 12") == "/fix 12"


def test_plain_names_are_listed_in_order(tmp_path: Path, folder: Path) -> None:
    for name in ("fix.md", "a-b_1.md", "Loud.md", "notes.txt", ".md", "two words.md", "évil.md"):
        (folder / name).write_text("x")

    assert names(tmp_path) == ("a-b_1", "fix")


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "fix.md").write_text("planted")
    workspace = tmp_path / "workspace"
    (workspace / ".claude").mkdir(parents=True)
    (workspace / ".claude/commands").symlink_to(outside)

    assert names(workspace) == ()
    with pytest.raises(NotOpened):
        expand(workspace, "/fix")


def test_a_folder_with_too_much_in_it_is_looked_at_in_part(tmp_path: Path, folder: Path) -> None:
    for number in range(MOST_LOOKED_AT + 5):
        (folder / f"c{number}.md").touch()

    assert len(names(tmp_path)) == MOST_NAMES


def test_a_folder_that_cannot_be_listed_has_none(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError("no")

    (folder / "fix.md").write_text("x")
    monkeypatch.setattr(os, "scandir", fails)

    assert names(tmp_path) == ()


def test_what_calls_a_command_becomes_its_text(tmp_path: Path, folder: Path) -> None:
    (folder / "fix.md").write_bytes(b"---\na: b\n---\nFix $1\0.\xff")

    assert expand(tmp_path, "/fix 12") == "Fix 12.\ufffd"
    assert expand(tmp_path, "/other 12") == "/other 12"
    assert expand(tmp_path, "fix 12") == "fix 12"


@pytest.mark.parametrize("kind", ["link", "pipe", "large", "folder", "second name"])
def test_what_is_no_small_plain_file_is_not_read(tmp_path: Path, folder: Path, kind: str) -> None:
    file, other = folder / "fix.md", tmp_path / "other"
    other.write_text("secret")
    match kind:
        case "link":
            file.symlink_to(other)
        case "pipe":
            os.mkfifo(file)
        case "large":
            file.write_text("x" * (MOST_BYTES + 1))
        case "folder":
            file.mkdir()
        case _:
            os.link(other, file)

    with pytest.raises(NotOpened):
        expand(tmp_path, "/fix")


def test_a_disk_that_fails_is_told(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int, __: int) -> bytes:
        raise OSError(5, "broken")

    (folder / "fix.md").write_text("x")
    monkeypatch.setattr(os, "read", fails)

    with pytest.raises(NotOpened):
        expand(tmp_path, "/fix")
