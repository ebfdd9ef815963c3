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
    assert Path(sys.prefix, "bin") in settings.programs
    assert own_programs(settings, {}) == settings.programs


def test_who_makes_the_environment_beside_config_yaml_has_the_rooms_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m venv .` does."""
    for name in ("bin", "lib/python3/site-packages", "rooms/a"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("lib")
    (tmp_path / "pyvenv.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert refused(tmp_path, "users: []") == refused(tmp_path, "workspace: rooms/b") == []
    for name in ("bin", "lib/x", "lib64", "include"):
        [problem] = refused(tmp_path, f"workspace: {name}, workspace_outside: true")
        assert _OVERLAP in problem or "is a symbolic link" in problem


@pytest.mark.parametrize("room", ["workspace: {}, workspace_outside: true", "mounts: [{{path: {}, mode: rw}}]"])
def test_no_room_may_bend_the_way_to_what_the_daemon_reads_or_runs(tmp_path: Path, room: str) -> None:
    program(tmp_path / "real/bin/claude")
    (tmp_path / "real/data").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/link").symlink_to(tmp_path / "real")
    (tmp_path / "real/config.yaml").write_text(
        f'{MATRIX}rooms: [{{id: "!a:x", name: a, {room.format(tmp_path / "shared")}}}]\n', encoding="utf-8"
    )
    said = {"workspaces": tmp_path / "rooms"}

    def problems(file: Path, **more: str) -> list[str]:
        text = (tmp_path / "real/config.yaml").read_text(encoding="utf-8")
        lines = "".join(f"{key}: {value}\n" for key, value in {**said, **more}.items())
        (tmp_path / "real/used.yaml").write_text(text + lines, encoding="utf-8")
        try:
            load(file, {"HOME": str(tmp_path)})
        except ConfigError as error:
            return [problem.partition(": ")[2].partition(": ")[2] for problem in error.problems]
        return []

    expected = [
        (
            f"{tmp_path}/shared holds {tmp_path}/shared/link, through which this daemon finds its programs, data_dir "
            "or used.yaml; choose a folder apart from it"
        )
    ]
    assert problems(tmp_path / "real/used.yaml") == []
    assert problems(tmp_path / "shared/link/used.yaml") == expected
    assert problems(tmp_path / "real/used.yaml", data_dir=f"{tmp_path}/shared/link/data") == expected
    binary = f"{{claude: {{binary: {tmp_path}/shared/link/bin/claude}}}}"
    assert problems(tmp_path / "real/used.yaml", agents=binary) == expected
