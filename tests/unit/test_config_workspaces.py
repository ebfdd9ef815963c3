"""Rooms work in folders of their own, away from the daemon's data."""

from pathlib import Path

import pytest

from aiagentchat.config.load import load
from aiagentchat.config.workspaces import check_folders
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import RoomId
from tests.unit.config_file import MATRIX, load_text, problems_of


def rooms(*entries: str) -> str:
    lines = [f'  - {{id: "!{number}:x", name: room{number}, {entry}}}\n' for number, entry in enumerate(entries)]
    return MATRIX + "rooms:\n" + "".join(lines)


def test_a_relative_workspace_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = load_text(tmp_path, rooms("workspace: rooms/x/../y"))

    assert settings.rooms[0].workspace == tmp_path / "rooms/y"


def test_a_path_may_start_at_home(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path, MATRIX + "data_dir: ~/data\nworkspaces: ~/rooms\nagents: {claude: {binary: ~/claude}}"
    )

    assert settings.data_dir == Path("/home/you/data")
    assert settings.agents["claude"].binary == "/home/you/claude"


def test_home_itself_is_a_path(tmp_path: Path) -> None:
    assert load_text(tmp_path, MATRIX + "workspaces: '~'").workspaces == Path("/home/you")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        pytest.param("~/data", {}, id="no HOME"),
        pytest.param("~/data", {"HOME": "here"}, id="HOME is not a whole path"),
        pytest.param("~anna/data", {"HOME": "/home/you"}, id="somebody else's home"),
    ],
)
def test_a_home_that_is_not_known_is_an_error(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"{MATRIX}data_dir: {text}", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load(file, environ)

    assert caught.value.problems[0] == (
        f'{file}:2: data_dir: "{text}" cannot be looked up; write the whole path, beginning with /'
    )


_OWN = "give each room a folder of its own"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            ["workspace: rooms/a", "workspace: ./rooms/a/"],
            f"4: rooms[1].workspace: rooms/a is also the workspace of rooms[0] (room0); {_OWN}",
            id="shared",
        ),
        pytest.param(
            ["workspace: rooms/room1", "users: []"],
            f"4: rooms[1].workspace: rooms/room1 is also the workspace of rooms[0] (room0); {_OWN}",
            id="shared with a room that has the usual folder",
        ),
        pytest.param(
            ["workspace: rooms/a/b", "workspace: rooms/a"],
            f"4: rooms[1].workspace: rooms/a overlaps rooms/a/b, the workspace of rooms[0] (room0); {_OWN}",
            id="nested",
        ),
        pytest.param(
            ["workspace: elsewhere"],
            "3: rooms[0].workspace: elsewhere is outside of workspaces (rooms); "
            "if that is intended, add workspace_outside: true to this room",
            id="outside",
        ),
        pytest.param(
            ["workspace: rooms"],
            "3: rooms[0].workspace: rooms holds the workspaces of all rooms (rooms); choose a folder in it",
            id="all of them",
        ),
        pytest.param(
            ["workspace: data/x, workspace_outside: true"],
            "3: rooms[0].workspace: data/x and data_dir (data) overlap; choose a folder apart from it",
            id="in the data",
        ),
        pytest.param(
            ["workspace: rooms/link"],
            "3: rooms[0].workspace: rooms/link is a symbolic link; "
            "write the folder that it points to, or make it a real one",
            id="a link",
        ),
        pytest.param(
            ["workspace: rooms/link/deep"],
            "3: rooms[0].workspace: rooms/link is a symbolic link; "
            "write the folder that it points to, or make it a real one",
            id="below a link",
        ),
        pytest.param(
            ["workspace: link, workspace_outside: true"],
            "3: rooms[0].workspace: link is a symbolic link; write the folder that it points to, or make it a real one",
            id="a link outside",
        ),
        pytest.param(
            ["workspace: rooms/file"],
            "3: rooms[0].workspace: rooms/file is not a folder; choose another one",
            id="a file",
        ),
    ],
)
def test_a_workspace_that_is_not_safe_is_refused(tmp_path: Path, entries: list[str], expected: str) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rooms/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "rooms/file").touch()

    assert problems_of(tmp_path, rooms(*entries)) == [f"config.yaml:{expected}"]


def test_a_usual_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/room0").symlink_to("/etc")

    assert problems_of(tmp_path, rooms("users: []")) == [
        (
            "config.yaml:3: rooms[0].workspace: rooms/room0 is a symbolic link; "
            "write the folder that it points to, or make it a real one"
        )
    ]


def test_a_workspace_may_not_hold_the_configuration(tmp_path: Path) -> None:
    text = "data_dir: /var/lib/x\nworkspaces: /srv/x\n" + rooms("workspace: ., workspace_outside: true")

    assert problems_of(tmp_path, text) == [
        (
            f"config.yaml:5: rooms[0].workspace: {tmp_path} holds config.yaml, which the agent could then change; "
            "choose another folder"
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("workspaces: data/rooms", "data/rooms and data_dir (data) overlap", id="rooms in the data"),
        pytest.param("workspaces: x\ndata_dir: x/y", "x and data_dir (x/y) overlap", id="the data in the rooms"),
        pytest.param("workspaces: other\ndata_dir: way", "other and data_dir (way) overlap", id="by way of a link"),
    ],
)
def test_the_rooms_and_the_data_lie_apart(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "way").symlink_to(tmp_path / "other")

    assert problems_of(tmp_path, MATRIX + text) == [f"config.yaml:2: workspaces: {expected}; give each its own folder"]


def test_the_folder_of_the_rooms_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "rooms").touch()

    assert problems_of(tmp_path, MATRIX) == ["config.yaml:1: workspaces: rooms is not a folder; choose another one"]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("workspace: elsewhere, workspace_outside: true", id="an allowed one outside"),
        pytest.param("workspace: way/in/here, workspace_outside: true", id="an allowed one behind a link"),
        pytest.param("workspace: rooms/deep/er", id="a deep one"),
    ],
)
def test_a_workspace_that_is_safe_is_accepted(tmp_path: Path, entry: str) -> None:
    (tmp_path / "way").symlink_to(tmp_path / "other")

    assert load_text(tmp_path, rooms(entry)).rooms[0].workspace is not None


def test_no_way_to_a_workspace_leads_through_what_a_room_may_change(tmp_path: Path) -> None:
    """Whoever works there would choose at each run where the other room works."""
    for folder in ("shared", "rooms/room1", "target"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("shared", "rooms/room1"):
        (tmp_path / folder / "link").symlink_to(tmp_path / "target")
    (tmp_path / "way").symlink_to("rooms/room1/link")

    def refused(way: str) -> list[str]:
        entry = f"workspace: {way}/x, workspace_outside: true"
        return problems_of(tmp_path, rooms(entry, f"mounts: [{{path: {tmp_path}/shared, mode: rw}}]"))

    def sentence(way: str, link: str, whose: str) -> str:
        return (
            f"config.yaml:3: rooms[0].workspace: {way}/x leads through {link}, in {whose}: who works there could make "
            "it lead elsewhere; write the folder itself (target/x), or choose another one"
        )

    mount, workspace = (
        "shared, which rooms[1] (room1) has with mode rw",
        "rooms/room1, the workspace of rooms[1] (room1)",
    )
    assert refused("shared/link") == [sentence("shared/link", "shared/link", mount)]
    assert refused("way") == [sentence("way", "rooms/room1/link", workspace)]


def test_no_way_to_all_workspaces_leads_through_what_a_room_may_change(tmp_path: Path) -> None:
    for folder in ("shared", "target"):
        (tmp_path / folder).mkdir()
    (tmp_path / "shared/link").symlink_to(tmp_path / "target")
    text = rooms(f"mounts: [{{path: {tmp_path}/shared, mode: rw}}]") + "workspaces: shared/link\n"

    assert problems_of(tmp_path, text) == [
        (
            "config.yaml:3: rooms[0].workspace: shared/link/room0 leads through shared/link, in shared, which rooms[0] "
            "(room0) has with mode rw: who works there could make it lead elsewhere; write the folder itself "
            "(target/room0), or choose another one"
        )
    ]


def test_a_way_that_leads_round_in_circles_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")

    assert problems_of(tmp_path, rooms("workspace: one/x, workspace_outside: true")) == [
        (
            "config.yaml:3: rooms[0].workspace: one/x leads through symbolic links that go round in circles; "
            "choose another folder"
        )
    ]


def test_where_a_workspace_lies_is_settled_when_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "then").mkdir()
    (tmp_path / "way").symlink_to("then")
    text = rooms("workspace: way/x", "users: []") + "workspaces: way\n"
    settings = load_text(tmp_path, text)
    (tmp_path / "way").unlink()
    first, second = settings.rooms

    assert settings.workspace_source(first, "a") == tmp_path / "then/x"
    assert settings.workspace_source(second, "b") == tmp_path / "then/b"


def test_all_rooms_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "rooms").symlink_to(tmp_path / "disk")

    settings = load_text(tmp_path, rooms("workspace: rooms/a", "users: []"))

    assert settings.workspaces == tmp_path / "rooms"


def test_folders_are_checked_again_with_the_slugs_that_were_fixed(tmp_path: Path) -> None:
    settings = load_text(tmp_path, rooms("workspace: rooms/old", "users: []"))
    room = RoomId("!1:x")

    check_folders(settings, {room: "new"})
    with pytest.raises(ConfigError) as caught:
        check_folders(settings, {room: "old"})

    assert caught.value.problems == [
        (
            f"{tmp_path}/config.yaml:4: rooms[1].workspace: {tmp_path}/rooms/old is also the workspace of "
            "rooms[0] (room0); give each room a folder of its own"
        )
    ]
