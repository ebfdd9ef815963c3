"""What the daemon itself runs lies where no room can change it."""

import sys
from pathlib import Path

import pytest

import aiagentchat
from aiagentchat.config.load import load
from aiagentchat.config.programs import own_programs
from aiagentchat.core.errors import ConfigError
from tests.unit.config_file import MATRIX

PACKAGE = Path(aiagentchat.__file__).parent
CHECKOUT = PACKAGE.parent


def refused(folder: Path, room: str, **environ: str) -> list[str]:
    """What is wrong with a room that says so."""
    file = folder / "config.yaml"
    file.write_text(MATRIX + f'rooms: [{{id: "!a:x", name: a, {room}}}]\n', encoding="utf-8")
    try:
        load(file, {"HOME": str(folder), **environ})
    except ConfigError as error:
        return [problem.rpartition("rooms[0].")[2] for problem in error.problems]
    return []


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


_OVERLAP = "which this daemon itself runs, overlap; choose a folder apart from it"


@pytest.mark.parametrize("folder", [PACKAGE, PACKAGE / "process", CHECKOUT], ids=["it", "in it", "around it"])
def test_no_room_works_where_the_daemons_own_package_lies(tmp_path: Path, folder: Path) -> None:
    workspace = refused(tmp_path, f"workspace: {folder}, workspace_outside: true")
    mount = refused(tmp_path, f"mounts: [{{path: {folder}, mode: rw}}]")

    assert workspace == [f"workspace: {folder} and {PACKAGE}, {_OVERLAP}"]
    assert mount == [f"mounts[0].path: {folder} and {PACKAGE}, {_OVERLAP}"]
    assert refused(tmp_path, f"mounts: [{{path: {folder}, mode: ro}}]") == []


def test_a_folder_beside_it_in_a_checkout_is_fine(tmp_path: Path) -> None:
    assert refused(tmp_path, f"workspace: {CHECKOUT / 'rooms' / 'a'}, workspace_outside: true") == []


def test_what_answers_is_not_where_a_room_may_write(tmp_path: Path) -> None:
    real = program(tmp_path / "share/versions/1")
    found, later = tmp_path / "bin/claude", tmp_path / "later"
    found.parent.mkdir()
    found.symlink_to(real)
    for name in ("before", "later", "elsewhere"):
        (tmp_path / name).mkdir()
    program(tmp_path / "before/bwrap")
    path = f"{tmp_path}/before:relative:{tmp_path}/bin:{later}"

    def mounted(name: str) -> list[str]:
        return refused(tmp_path, f"mounts: [{{path: {tmp_path / name}, mode: rw}}]", PATH=path)

    assert mounted("bin") == [f"mounts[0].path: {tmp_path}/bin and {found}, {_OVERLAP}"]
    assert mounted("share") == [f"mounts[0].path: {tmp_path}/share and {real}, {_OVERLAP}"]
    assert mounted("before") == [f"mounts[0].path: {tmp_path}/before and {tmp_path}/before/bwrap, {_OVERLAP}"]
    assert mounted("later") == mounted("elsewhere") == []


def test_a_binary_that_is_named_is_one_of_them(tmp_path: Path) -> None:
    binary = program(tmp_path / "tools/claude")
    file = tmp_path / "config.yaml"
    file.write_text(MATRIX + f"agents: {{claude: {{binary: {binary}}}}}\n", encoding="utf-8")
    settings = load(file, {})

    assert binary in settings.programs
    assert Path(sys.prefix) in settings.programs
    assert own_programs(settings, {}) == settings.programs
