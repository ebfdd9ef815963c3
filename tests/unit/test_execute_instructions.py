"""What the agent is told about the room, and what a workspace cannot make it read."""

import os
from pathlib import Path

import pytest

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.execute.instructions import MAX_PROJECT_BYTES, instructions, project_text
from aiagentchat.render import guard_words

ANNA, BERT = UserId("@anna:hs"), UserId("@bert:hs")


def room(*, users: frozenset[UserId] = frozenset({ANNA}), project_instructions: bool = True) -> RoomSettings:
    return RoomSettings(
        id=RoomId("!k:hs"),
        name="kitchen",
        users=users,
        admins=frozenset({BERT}),
        project_instructions=project_instructions,
    )


def test_the_agent_knows_where_it_is_and_who_talks_to_it(tmp_path: Path) -> None:
    text = instructions(room(), tmp_path)

    assert '"kitchen"' in text
    assert "@anna:hs, @bert:hs" in text
    assert "CLAUDE.md" not in text
    assert guard_words.ABOUT_AGENTS in text


def test_a_room_without_people_belongs_to_the_operator(tmp_path: Path) -> None:
    nobody = RoomSettings(id=RoomId("!k:hs"), name="kitchen")

    assert "Messages come from: the operator." in instructions(nobody, tmp_path)


def test_the_projects_own_instructions_follow(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Wash {hands}.", encoding="utf-8")

    assert instructions(room(), tmp_path).endswith("Instructions of the project, from its CLAUDE.md:\n\nWash {hands}.")


def test_a_room_can_do_without_them(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Wash your hands.", encoding="utf-8")

    assert "Wash" not in instructions(room(project_instructions=False), tmp_path)


def test_a_long_file_is_cut_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("x" * 40 * 1024, encoding="utf-8")

    assert project_text(tmp_path) == "x" * MAX_PROJECT_BYTES + "\n\n(cut after 32 KiB)"


def test_a_file_of_just_that_size_is_whole(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("x" * MAX_PROJECT_BYTES, encoding="utf-8")

    assert project_text(tmp_path) == "x" * MAX_PROJECT_BYTES


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_bytes(b"tea \xff\x00 milk")

    assert project_text(tmp_path) == "tea � milk"


def _missing(_: Path, __: Path) -> None: ...


def _symlink(file: Path, secret: Path) -> None:
    file.symlink_to(secret)


def _hard_link(file: Path, secret: Path) -> None:
    file.hardlink_to(secret)


def _directory(file: Path, _: Path) -> None:
    file.mkdir()


def _pipe(file: Path, _: Path) -> None:
    os.mkfifo(file)


def _device(file: Path, _: Path) -> None:
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_missing, _symlink, _hard_link, _directory, _pipe, _device])
def test_what_is_no_plain_file_of_the_workspace_is_not_read(tmp_path: Path, make: object) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("the daemon's own", encoding="utf-8")
    assert callable(make)
    make(workspace / "CLAUDE.md", secret)
    open_files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a listing, not paths

    assert project_text(workspace) == ""
    assert len(os.listdir("/proc/self/fd")) == open_files  # noqa: PTH208


def test_a_file_that_cannot_be_read_to_its_end_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CLAUDE.md").write_text("Wash your hands.", encoding="utf-8")

    def broken(*_: object) -> bytes:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "read", broken)

    assert project_text(tmp_path) == ""
