"""A folder that is given to a user, with all that is in it and nothing that is not."""

import os
from pathlib import Path

import pytest

from aiagentchat.process.give import give

UID = 262_011


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_everything_is_given_but_what_has_another_name(tmp_path: Path) -> None:
    folder, outside = tmp_path / "workspace", tmp_path / "outside"
    (folder / "in").mkdir(parents=True)
    outside.write_text("the daemon's", encoding="utf-8")
    (folder / "in" / "file").touch()
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    os.link(outside, folder / "hard")
    give(folder, UID)

    owners = {path.name: path.stat(follow_symlinks=False).st_uid for path in [folder, *folder.rglob("*")]}
    assert owners == {"workspace": UID, "in": UID, "file": UID, "link": UID, "pipe": 0, "hard": 0}
    assert outside.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_that_is_the_users_already_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path, UID, UID)
    give(tmp_path, UID)

    assert (tmp_path / "file").stat().st_uid == 0
