"""No room is let into the places where secrets lie: those that the environment names, and the usual ones of a HOME."""

from pathlib import Path

import pytest

from aiagentchat.config.load import load
from aiagentchat.core.errors import ConfigError
from tests.unit.config_file import MATRIX


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    """What is wrong with these settings in this environment."""
    file = folder / "config.yaml"
    file.write_text(MATRIX + text, encoding="utf-8")
    try:
        load(file, {"HOME": str(folder / "home"), **environ})
    except ConfigError as error:
        return [problem.replace(f"{folder}/", "") for problem in error.problems]
    return []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / "project").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("mount", "refused"),
    [
        pytest.param("~/.ssh", True, id="the place itself"),
        pytest.param("~/", True, id="what holds it"),
        pytest.param("~/project", False, id="a neighbour"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_mount_opens_no_place_of_secrets(tmp_path: Path, mount: str, refused: bool) -> None:
    said = problems(tmp_path, f"rooms: [{{id: '!a:x', name: a, mounts: [{{path: {mount}}}]}}]")

    assert bool(said) is refused
    assert all("home/.ssh, where secrets lie, overlap; choose another folder" in problem for problem in said)


def test_a_secret_that_the_environment_names_is_in_no_mount_and_no_workspace(tmp_path: Path, home: Path) -> None:
    (home / "project" / "token").touch(mode=0o600)
    named = {"MATRIX_ACCESS_TOKEN_FILE": str(home / "project" / "token")}
    mounted = problems(tmp_path, "rooms: [{id: '!a:x', name: a, mounts: [{path: ~/project}]}]", **named)
    worked_in = problems(
        tmp_path, "rooms: [{id: '!a:x', name: a, workspace: ~/project, workspace_outside: true}]", **named
    )

    assert mounted == [
        (
            "config.yaml:2: rooms[0].mounts[0].path: home/project and home/project/token, where secrets lie, overlap; "
            "choose another folder"
        )
    ]
    assert worked_in == [
        (
            "config.yaml:2: rooms[0].workspace: home/project holds home/project/token, where secrets lie; "
            "choose another folder"
        )
    ]


def test_a_place_that_is_not_there_hinders_nobody(tmp_path: Path, home: Path) -> None:
    (home / ".ssh").rmdir()

    assert problems(tmp_path, "rooms: [{id: '!a:x', name: a, mounts: [{path: ~/project}]}]") == []
    assert problems(tmp_path, "rooms: []", CREDENTIALS_DIRECTORY="/run/none", HOME="relative") == []


def test_the_folder_of_secrets_beside_the_settings_is_in_no_mount_and_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    mounted = problems(tmp_path, f"rooms: [{{id: '!a:x', name: a, mounts: [{{path: {tmp_path}/secrets}}]}}]")
    outside = f"workspace: {tmp_path}/secrets, workspace_outside: true"
    worked_in = problems(tmp_path, f"rooms: [{{id: '!a:x', name: a, {outside}}}]")

    assert ["where secrets lie" in problem for problem in (*mounted, *worked_in)] == [True, True]
