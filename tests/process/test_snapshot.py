"""What a turn has changed is seen in every kind of folder, and nothing in there is run or believed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.process import snapshot

PROGRAM = Path(snapshot.__file__)


class Room:
    """A workspace, and where its snapshots are kept."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.kept = folder / "kept"
        self.workspace.mkdir()
        self.kept.mkdir()

    def write(self, name: str, text: str) -> None:
        file = self.workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def now(self) -> int:
        """A moment after everything up to now, and before what is written next: the kernel's clock has steps."""
        probe = self.kept.parent / "probe"
        probe.write_bytes(b"")
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.write_bytes(b"")
        return before + 1

    def look(self, since: int, *wish: str, **more: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(PROGRAM), str(self.workspace), str(since), *wish],
            cwd=self.kept,
            env={"PATH": "/usr/bin:/bin", **more},
            stdout=subprocess.PIPE,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def git(self, *words: str, where: str = ".") -> None:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.kept.parent), "GIT_CONFIG_NOSYSTEM": "1"}
        who = ["-c", "user.name=a", "-c", "user.email=a@x"]
        subprocess.run(
            ["git", *who, *words], cwd=self.workspace / where, env=env, check=True, stdout=subprocess.DEVNULL
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_lines_are_compared_with_what_was_there_before_the_turn(room: Room) -> None:
    room.write("soup.md", "water\nsalt\n")
    room.write("old.md", "gone\n")
    assert room.look(room.now()) == {"files": 0}

    since = room.now()
    room.write("soup.md", "water\npepper\n")
    room.write("a/new.md", "new\n")
    (room.workspace / "old.md").unlink()
    found = room.look(since)

    assert (found["files"], found["added"], found["removed"], found["cut"]) == (3, 2, 2, False)
    assert "--- a/soup.md\n+++ b/soup.md\n" in found["patch"]
    assert "-salt\n+pepper\n" in found["patch"]
    assert "deleted file mode 100644" in found["patch"]


def test_a_first_look_that_comes_late_takes_nothing_of_the_turn_away(room: Room) -> None:
    room.write("soup.md", "water\n")
    since = room.now()
    room.write("new.md", "salt\n")

    assert room.look(since, snapshot.FIRST) == {"files": 0}
    found = room.look(since)
    assert (found["files"], found["added"]) == (1, 1)
    assert room.look(since) == {"files": 0}


def test_the_next_turn_begins_where_this_one_ended(room: Room) -> None:
    room.write("a", "one\n")
    room.look(room.now())
    since = room.now()
    room.write("a", "two\n")
    room.look(since)
    since = room.now()
    room.write("b", "b\n")

    found = room.look(since)

    assert found["files"] == 1
    assert "two" not in found["patch"]


def test_what_others_changed_between_two_turns_is_not_the_turns(room: Room) -> None:
    room.write("a", "one\n")
    room.write("b", "one\n")
    room.write("gone/c", "one\n")
    room.look(room.now())
    room.write("a", "by hand\n")
    (room.workspace / "gone/c").unlink()
    since = room.now()
    room.write("b", "by the turn\n")

    found = room.look(since)

    assert (found["files"], found["added"], found["removed"]) == (1, 1, 1)
    assert "by hand" not in found["patch"]


def test_a_room_that_was_never_looked_at_shows_what_is_newer_than_the_turn(room: Room) -> None:
    room.write("a", "one\n")
    since = room.now()
    room.write("b", "two\n")

    assert room.look(since)["files"] == 1


def test_what_was_only_touched_has_not_changed(room: Room) -> None:
    room.write("a", "one\n")
    room.look(room.now())
    since = room.now()
    (room.workspace / "a").touch()

    assert room.look(since)["files"] == 0


def test_what_git_ignores_and_what_is_installed_is_left_out(room: Room) -> None:
    room.write(".gitignore", "*.log\n")
    since = room.now()
    for name in ("x.log", "node_modules/m/index.js", ".venv/bin/python", "long-answers/1.md", "__pycache__/a.pyc"):
        room.write(name, "x")

    assert room.look(since)["files"] == 0


def test_in_repositories_the_files_count_and_the_repository_does_not(room: Room) -> None:
    for where in (".", "inner", "inner/most"):
        (room.workspace / where).mkdir(exist_ok=True)
        room.git("init", "-q", where=where)
        room.write(f"{where}/tracked", "one\n")
        room.write(f"{where}/.gitignore", "*.o\n")
    room.git("add", "tracked", where="inner")
    room.git("commit", "-qm", "one", where="inner")
    room.look(room.now())
    since = room.now()
    for where in (".", "inner", "inner/most"):
        room.write(f"{where}/tracked", "two\n")
        room.write(f"{where}/new.o", "x")
    room.git("commit", "-qam", "two", where="inner")

    found = room.look(since)

    assert (found["files"], found["added"], found["removed"]) == (3, 3, 3)
    assert "+++ b/inner/most/tracked" in found["patch"]


def test_large_files_pipes_and_links_out_do_no_harm(room: Room) -> None:
    secret = room.kept.parent / "secret"
    secret.write_text("secret", encoding="utf-8")
    room.look(room.now())
    since = room.now()
    (room.workspace / "large").write_bytes(b"x" * (snapshot.MOST_BYTES + 1))
    os.mkfifo(room.workspace / "pipe")
    (room.workspace / "link").symlink_to(secret)
    (room.workspace / "folder").symlink_to(room.kept.parent)

    found = room.look(since)

    assert found["files"] == 2
    assert f"+{secret}\n" in found["patch"]
    assert "+secret\n" not in found["patch"]


def test_nothing_that_lies_in_the_workspace_is_run(room: Room) -> None:
    ran = room.kept.parent / "ran"
    trap = f"touch {ran}"
    room.git("init", "-q")
    for key in ("core.fsmonitor", "filter.trap.clean", "diff.trap.textconv", "diff.trap.command", "diff.external"):
        room.git("config", key, trap)
    room.write(".gitattributes", "* filter=trap diff=trap\n")
    for hook in ("pre-commit", "post-index-change", "reference-transaction"):
        room.write(f".git/hooks/{hook}", f"#!/bin/sh\n{trap}\n")
        (room.workspace / ".git/hooks" / hook).chmod(0o755)
    room.write(".gitconfig", f"[core]\nfsmonitor = {trap}\n")
    room.look(room.now())
    since = room.now()
    room.write("a", "two\n")

    assert room.look(since, HOME=str(room.workspace))["files"] == 1
    assert not ran.exists()


def test_names_that_nobody_would_choose_are_quoted(room: Room) -> None:
    since = room.now()
    room.write("two\nlines", "x\n")
    room.write("-o", "x\n")
    room.write("größe", "x\n")
    room.write(":(exclude)x", "x\n")

    found = room.look(since)

    assert found["files"] == 4
    assert '"b/two\\nlines"' in found["patch"]
    assert "b/größe" in found["patch"]


def test_what_was_a_file_may_become_a_folder(room: Room) -> None:
    room.write("a", "x\n")
    room.look(room.now())
    since = room.now()
    (room.workspace / "a").unlink()
    room.write("a/b", "x\n")

    assert room.look(since)["files"] in (1, 2)  # git may see that it was renamed


def test_a_long_patch_is_cut(room: Room) -> None:
    since = room.now()
    room.write("a", "x" * 79 + "\n" + "".join(f"line {number}\n" for number in range(80_000)))

    found = room.look(since)

    assert (found["files"], found["cut"], len(found["patch"])) == (1, True, snapshot.MOST_PATCH)


def test_a_folder_with_too_many_files_is_not_looked_at(room: Room) -> None:
    for number in range(snapshot.MOST_FILES + 1):
        (room.workspace / str(number)).touch()

    assert room.look(room.now()) == {"why": "too large"}


def test_a_look_that_was_cut_off_does_not_hinder_the_next(room: Room) -> None:
    room.write("a", "one\n")
    room.look(room.now())
    (room.kept / "git/index.lock").touch()
    since = room.now()
    room.write("a", "two\n")

    assert room.look(since)["files"] == 1


def test_where_what_is_kept_is_broken_it_begins_anew(room: Room) -> None:
    room.write("a", "one\n")
    room.look(room.now())
    (room.kept / "git/index").write_bytes(b"nonsense")

    assert room.look(room.now()) == {"why": "git failed"}
    assert room.look(room.now()) == {"files": 0}


def test_without_git_nothing_is_said_to_have_changed(room: Room, tmp_path: Path) -> None:
    assert room.look(room.now(), PATH=str(tmp_path)) == {"why": "no git"}
