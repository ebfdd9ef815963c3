"""One daemon per data_dir."""

import os
import socket
from pathlib import Path

import pytest

from aiagentchat.app.owner import LOCK, own, owner_pid, this_machine
from aiagentchat.core.errors import AlreadyRunning, ConfigError
from rig.unprivileged import NOBODY


def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with own(tmp_path / "data"), pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"), own(tmp_path / "data"):
        raise AssertionError("owned twice")


def test_it_is_free_again_when_the_owner_leaves(tmp_path: Path) -> None:
    with own(tmp_path / "data"):
        assert owner_pid(tmp_path / "data") == os.getpid()

    assert owner_pid(tmp_path / "data") is None
    with own(tmp_path / "data"):
        assert owner_pid(tmp_path / "data") == os.getpid()


def test_nobody_owns_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert owner_pid(tmp_path / "nothing") is None


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    with own(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigError, match="data_dir"), own(tmp_path / "file" / "data"):
        raise AssertionError("made a folder in a file")


def test_this_machine_has_a_name_and_knows_which_start_this_is(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("0b8b6d0e\n")

    assert this_machine(tmp_path / "boot_id") == (socket.gethostname(), "0b8b6d0e")
    assert this_machine() == this_machine()


def test_a_kernel_that_does_not_say_which_start_this_is_leaves_the_name(tmp_path: Path) -> None:
    assert this_machine(tmp_path / "none") == (socket.gethostname(), "")


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("Not to be emptied.")
    data = tmp_path / "data"
    data.mkdir()
    (data / LOCK).symlink_to(kept)

    with pytest.raises(ConfigError, match=r"daemon\.lock is a link, which no daemon has made; remove it"), own(data):
        pass
    assert kept.read_text() == "Not to be emptied."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes something in the place of another user")
def test_what_root_makes_there_is_the_daemons_but_no_second_name_of_another_file(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    with own(data):
        first = (data / LOCK).stat()
    (data / LOCK).unlink()
    kept.touch()
    (data / LOCK).hardlink_to(kept)
    with own(data):
        pass

    assert (first.st_uid, first.st_gid) == (NOBODY, NOBODY)
    assert kept.stat().st_uid == 0
