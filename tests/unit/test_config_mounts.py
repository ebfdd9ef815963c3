"""A mount opens one folder outside of the workspace, and never one that belongs to the daemon or to another room."""

from pathlib import Path

import pytest

from aiagentchat.config.describe import describe
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.config.settings import Mount
from aiagentchat.config.workspaces import check_folders
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import RoomId
from tests.unit.config_file import MATRIX, load_text, problems_of


def rooms(*entries: str) -> str:
    """The rooms of a file, from line 3 on."""
    lines = [f'  - {{id: "!{number}:x", name: room{number}, {entry}}}\n' for number, entry in enumerate(entries)]
    return MATRIX + "rooms:\n" + "".join(lines)


def mounts(*paths: Path | str) -> str:
    """What a room says to mount these to read."""
    entries = [f"{{path: '{path}'}}" for path in paths]
    return f"mounts: [{', '.join(entries)}]"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that may be mounted."""
    folder = tmp_path / "outside"
    (folder / "in").mkdir(parents=True)
    return folder


def test_a_mount_is_read_only_unless_it_says_otherwise(tmp_path: Path, outside: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    settings = load_text(tmp_path, rooms(f"mounts: [{{path: {outside}}}, {{path: {other}/x/.., mode: rw}}]"))

    assert settings.rooms[0].mounts == (Mount(outside, "ro"), Mount(other, "rw"))


def test_a_room_has_the_mounts_of_the_defaults_and_its_own(tmp_path: Path, outside: Path) -> None:
    text = rooms(mounts("/usr"), "users: []") + f"defaults: {{{mounts(outside)}}}"
    first, second = load_text(tmp_path, text).rooms

    assert first.mounts == (Mount(outside, "ro"), Mount(Path("/usr"), "ro"))
    assert second.mounts == (Mount(outside, "ro"),)


def test_a_mount_may_start_at_home(tmp_path: Path, outside: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(rooms(mounts("~/in")), encoding="utf-8")

    assert load(file, {"HOME": str(outside)}).rooms[0].mounts == (Mount(outside / "in", "ro"),)


def test_mounts_are_printed(tmp_path: Path, outside: Path) -> None:
    settings = load_text(tmp_path, rooms(f"mounts: [{{path: {outside}, mode: rw}}]"))

    assert settings.effective()["rooms"][0]["mounts"] == [{"path": str(outside), "mode": "rw"}]
    assert f"  mounts:\n  - path: {outside}\n    mode: rw\n" in describe(settings, load_secrets({}))


def test_a_folder_behind_a_link_may_be_mounted(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "way").symlink_to(outside)

    assert load_text(tmp_path, rooms(mounts(tmp_path / "way/in"))).rooms[0].mounts[0].path == tmp_path / "way/in"


def test_where_a_mount_lies_is_settled_when_the_file_is_read(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "way").symlink_to(outside)
    mount = load_text(tmp_path, rooms(mounts(tmp_path / "way/in"))).rooms[0].mounts[0]
    (tmp_path / "way").unlink()

    assert mount.source == outside / "in"


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_nothing_is_mounted_out_of_a_folder_that_a_room_may_change(tmp_path: Path, outside: Path, mode: str) -> None:
    """Whoever works there could put a link to the daemon's data into its place, and would have that mounted next."""
    wide, part = f"{{path: {outside}, mode: rw}}", f"{{path: {outside}/in, mode: {mode}}}"
    refused = (
        "outside/in is in outside, which is %s with mode rw: who works there could put another folder into its "
        "place; choose a folder apart from it, or mount both with mode ro"
    )
    own = problems_of(tmp_path, rooms(f"mounts: [{wide}, {part}]"))
    another_rooms = problems_of(tmp_path, rooms(f"mounts: [{part}]", f"mounts: [{wide}]"))
    of_all = problems_of(tmp_path, rooms(f"mounts: [{part}]") + f"defaults: {{mounts: [{wide}]}}")

    assert own == [f"config.yaml:3: rooms[0].mounts[1].path: {refused % 'rooms[0].mounts[0]'}"]
    assert another_rooms == [f"config.yaml:3: rooms[0].mounts[0].path: {refused % 'rooms[1].mounts[0]'}"]
    assert of_all == [f"config.yaml:3: rooms[0].mounts[0].path: {refused % 'defaults.mounts[0]'}"]


_BENT = "who works there could make it lead elsewhere; write the folder itself (%s), or choose another one"


@pytest.mark.parametrize(
    ("link", "other", "whose"),
    [
        pytest.param("shared/link", "users: []", "shared, which rooms[1] (room1) has with mode rw", id="a mount"),
        pytest.param(
            "rooms/room1/link", "users: []", "rooms/room1, the workspace of rooms[1] (room1)", id="a workspace"
        ),
        pytest.param("data/homes/x/link", "users: []", "data/homes, where rooms have their HOME", id="a HOME"),
    ],
)
def test_no_way_to_a_mount_leads_through_what_a_room_may_change(
    tmp_path: Path, outside: Path, link: str, other: str, whose: str
) -> None:
    """Whoever works there would choose what is mounted, at the next reload."""
    shared = tmp_path / "shared"
    for folder in (shared, (tmp_path / link).parent):
        folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(outside)
    (tmp_path / "way").symlink_to(link)
    text = rooms(mounts(tmp_path / "way/in"), f"mounts: [{{path: {shared}, mode: rw}}], {other}")

    assert problems_of(tmp_path, text) == [
        (f"config.yaml:3: rooms[0].mounts[0].path: way/in leads through {link}, in {whose}: {_BENT % 'outside/in'}")
    ]


def test_no_way_leads_out_of_what_a_room_may_change_again(tmp_path: Path) -> None:
    """Who made a link of `deep` would choose where the `..` behind it leads to."""
    for folder in ("shared/deep", "outside/in"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "way").symlink_to("shared/deep/../../outside")
    defaults = f"defaults: {{mounts: [{{path: {tmp_path}/shared, mode: rw}}, {{path: {tmp_path}/way/in}}]}}\n"

    assert problems_of(tmp_path, MATRIX + defaults) == [
        (
            "config.yaml:2: defaults.mounts[1].path: way/in leads through shared/deep, in shared, which is in "
            f"defaults.mounts with mode rw: {_BENT % 'outside/in'}"
        )
    ]


def test_a_way_that_leads_round_in_circles_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")

    [problem] = problems_of(tmp_path, rooms(mounts(tmp_path / "one/in")))
    assert "one/in does not exist" in problem


def test_rooms_may_share_a_folder(tmp_path: Path, outside: Path) -> None:
    shared = f"mounts: [{{path: {outside}, mode: rw}}]"

    assert len(load_text(tmp_path, rooms(shared, shared)).rooms) == 2


_WHOLE = 'is not a whole path, beginning with / or ~/; write for example "/srv/data"'
_MOUNT = "is not a mount; write for example {path: /srv/data, mode: ro}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("[{path: srv}]", [f'[0].path: "srv" {_WHOLE}'], id="a relative path"),
        pytest.param("[{path: ../srv}]", [f'[0].path: "../srv" {_WHOLE}'], id="a relative path that leads up"),
        pytest.param("[{path: ~anna/srv}]", [f'[0].path: "~anna/srv" {_WHOLE}'], id="somebody else's home"),
        pytest.param(r'[{path: "/a\nb"}]', [rf'[0].path: "/a\nb" {_WHOLE}'], id="a line break"),
        pytest.param("[{path: 5}]", ['[0].path: 5 is not text; put it in quotes: "5"'], id="a number"),
        pytest.param("[{path: [/srv]}]", [f"[0].path: a list {_WHOLE}"], id="a list as path"),
        pytest.param("[{path: }]", ["[0].path: has no value; write one, or remove the line"], id="an empty path"),
        pytest.param("[{mode: rw}]", ["[0].path: is missing; write for example path: /srv/data"], id="no path"),
        pytest.param("[/srv]", [f'[0]: "/srv" {_MOUNT}'], id="only a path"),
        pytest.param("[[/srv]]", [f"[0]: a list {_MOUNT}"], id="a list in the list"),
        pytest.param("[null]", ["[0]: has no value; write one, or remove the line"], id="nothing"),
        pytest.param("/srv", [': "/srv" is not a list; put it in brackets: ["/srv"]'], id="a path instead of the list"),
        pytest.param(
            "{path: /srv}",
            [": a group of keys is not a list; write [] or one item per line, each after a dash"],
            id="a mount instead of the list",
        ),
        pytest.param(
            "[{path: /usr, mode: rwx}]", ['[0].mode: "rwx" is not allowed here; did you mean "rw"?'], id="another mode"
        ),
        pytest.param(
            "[{path: /usr, mode: read}]",
            ['[0].mode: "read" is not allowed here; write one of: ro, rw'],
            id="a mode in words",
        ),
        pytest.param(
            "[{path: /usr, mod: rw}]",
            ['[0].mod: this key is not known; did you mean "mode"?'],
            id="a misspelt key",
        ),
        pytest.param(
            "[x, {path: y, mode: z}, {path: /nothing, w: x}, {path: /none, mode: z}]",
            [
                f'[0]: "x" {_MOUNT}',
                f'[1].path: "y" {_WHOLE}',
                '[1].mode: "z" is not allowed here; write one of: ro, rw',
                "[2].w: this key is not known; write one of: path, mode",
                '[3].mode: "z" is not allowed here; write one of: ro, rw',
                "[2].path: /nothing does not exist, or cannot be seen by this user; create it, or remove the mount",
                "[3].path: /none does not exist, or cannot be seen by this user; create it, or remove the mount",
            ],
            id="everything at once",
        ),
    ],
)
def test_a_mount_that_is_not_written_well_is_named(tmp_path: Path, said: str, expected: list[str]) -> None:
    in_room = problems_of(tmp_path, rooms(f"mounts: {said}"))
    in_defaults = problems_of(tmp_path, MATRIX + f"defaults: {{mounts: {said}}}")

    assert in_room == [f"config.yaml:3: rooms[0].mounts{sentence}" for sentence in expected]
    assert in_defaults == [f"config.yaml:2: defaults.mounts{sentence}" for sentence in expected]


def test_a_home_that_is_not_known_is_said_once(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(rooms(mounts("~/in")), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load(file, {})

    assert caught.value.problems == [
        (f'{file}:3: rooms[0].mounts[0].path: "~/in" cannot be looked up; write the whole path, beginning with /')
    ]


_UNNAMED = "has a *, ?, [ or \\ in it, or a space at its end, which rules for the agent cannot name; rename the folder"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(
            "gone",
            "gone does not exist, or cannot be seen by this user; create it, or remove the mount",
            id="a folder that is not there",
        ),
        pytest.param("file", "file is not a folder; choose another one", id="a file"),
        pytest.param("link", "link is a symbolic link; write the folder that it points to", id="a link"),
        pytest.param("link/", "link is a symbolic link; write the folder that it points to", id="a link with a slash"),
        pytest.param("data", "data and data_dir (data) overlap; choose a folder apart from it", id="the data"),
        pytest.param("data/x", "data/x and data_dir (data) overlap; choose a folder apart from it", id="in the data"),
        pytest.param(
            "way/data", "way/data and data_dir (data) overlap; choose a folder apart from it", id="the data by a link"
        ),
        pytest.param(
            "rooms",
            "rooms holds the workspaces of all rooms (rooms); choose another folder",
            id="all rooms",
        ),
        pytest.param(
            "rooms/room0/x",
            "rooms/room0/x is in this room's own workspace, where the agent works anyway; remove the mount",
            id="its own workspace",
        ),
        pytest.param(
            "rooms/room1",
            "rooms/room1 overlaps rooms/room1, the workspace of rooms[1] (room1); choose another folder",
            id="the workspace of another room",
        ),
        pytest.param(
            "deep",
            "deep overlaps deep/er, the workspace of rooms[2] (room2); choose another folder",
            id="around the workspace of another room",
        ),
        pytest.param("a*b", f"a*b {_UNNAMED}", id="a pattern"),
        pytest.param("a[b]", f"a[b] {_UNNAMED}", id="a bracket"),
        pytest.param("a\\b", f"a\\b {_UNNAMED}", id="a backslash"),
        pytest.param("a ", f"a  {_UNNAMED}", id="a space at the end"),
    ],
)
def test_a_folder_that_must_not_be_mounted_is_refused(tmp_path: Path, path: str, expected: str) -> None:
    for folder in ("data/x", "rooms/room0/x", "rooms/room1", "deep/er", "a*b", "a[b]", "a\\b", "a ", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "way").symlink_to(tmp_path)
    said = mounts(f"{tmp_path}/{path}")
    text = rooms(said, "users: []", "workspace: deep/er, workspace_outside: true")

    assert problems_of(tmp_path, text) == [f"config.yaml:3: rooms[0].mounts[0].path: {expected}"]


def test_a_mount_may_not_hold_the_configuration(tmp_path: Path) -> None:
    text = "data_dir: /var/lib/x\nworkspaces: /srv/x\n" + rooms(mounts(tmp_path))

    assert problems_of(tmp_path, text) == [
        (
            f"config.yaml:5: rooms[0].mounts[0].path: {tmp_path} holds config.yaml, which is not for the agent; "
            "choose another folder"
        )
    ]


def test_a_mount_may_not_hold_its_own_workspace(tmp_path: Path, outside: Path) -> None:
    text = rooms(f"workspace: outside/in, workspace_outside: true, {mounts(outside)}")

    assert problems_of(tmp_path, text) == [
        (
            "config.yaml:3: rooms[0].mounts[0].path: outside holds this room's own workspace (outside/in); "
            "choose another folder"
        )
    ]


def test_a_mount_of_the_defaults_is_looked_at_once_and_also_without_rooms(tmp_path: Path) -> None:
    gone = "does not exist, or cannot be seen by this user; create it, or remove the mount"
    defaults = f"defaults: {{{mounts(tmp_path / 'gone')}}}\n"

    assert problems_of(tmp_path, MATRIX + defaults) == [f"config.yaml:2: defaults.mounts[0].path: gone {gone}"]
    assert problems_of(tmp_path, rooms("users: []", "users: []") + defaults) == [
        f"config.yaml:5: defaults.mounts[0].path: gone {gone}"
    ]


def test_a_mount_of_the_defaults_may_not_be_in_any_workspace(tmp_path: Path) -> None:
    (tmp_path / "rooms/room1").mkdir(parents=True)
    text = rooms("users: []", "users: []") + f"defaults: {{{mounts(tmp_path / 'rooms/room1')}}}\n"

    assert problems_of(tmp_path, text) == [
        (
            "config.yaml:5: defaults.mounts[0].path: rooms/room1 overlaps rooms/room1, "
            "the workspace of rooms[1] (room1); choose another folder"
        )
    ]


@pytest.mark.parametrize(
    ("defaults", "room", "expected"),
    [
        pytest.param(
            [],
            ["outside", "outside/"],
            "4: rooms[0].mounts[1].path: outside is also rooms[0].mounts[0]",
            id="twice in a room",
        ),
        pytest.param(
            ["outside", "way"],
            [],
            "2: defaults.mounts[1].path: way is also defaults.mounts[0]",
            id="twice in the defaults, by way of a link",
        ),
        pytest.param(
            ["outside"],
            ["outside"],
            "4: rooms[0].mounts[0].path: outside is also defaults.mounts[0]",
            id="in the defaults and in a room",
        ),
    ],
)
def test_a_folder_is_mounted_once(tmp_path: Path, defaults: list[str], room: list[str], expected: str) -> None:
    (tmp_path / "a/outside").mkdir(parents=True)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    places = {"outside": "a/outside", "outside/": "a/outside/", "way": "b/outside"}
    said = [mounts(*(tmp_path / places[name] for name in names)) for names in (defaults, room)]
    text = f"{MATRIX}defaults: {{{said[0]}}}\nrooms:\n  - {{id: '!0:x', {said[1]}}}\n"
    problems = [
        problem.replace("a/outside", "outside").replace("b/outside", "way") for problem in problems_of(tmp_path, text)
    ]

    assert problems == [f"config.yaml:{expected}; remove one of the two"]


def test_what_is_mounted_read_only_cannot_be_opened_further_in(tmp_path: Path, outside: Path) -> None:
    text = rooms(f"mounts: [{{path: {outside}/in, mode: rw}}]") + f"defaults: {{{mounts(outside)}}}\n"

    assert problems_of(tmp_path, text) == [
        (
            "config.yaml:3: rooms[0].mounts[0].path: outside/in is in outside, "
            "which is defaults.mounts[0] with mode ro; mount both with the same mode"
        )
    ]


def test_mounts_are_checked_again_with_the_slugs_that_were_fixed(tmp_path: Path) -> None:
    (tmp_path / "rooms/shared").mkdir(parents=True)
    settings = load_text(tmp_path, rooms(mounts(tmp_path / "rooms/shared"), "users: []"))
    room = RoomId("!1:x")

    check_folders(settings, {room: "new"})
    with pytest.raises(ConfigError) as caught:
        check_folders(settings, {room: "shared"})

    assert caught.value.problems == [
        (
            f"{tmp_path}/config.yaml:3: rooms[0].mounts: {tmp_path}/rooms/shared overlaps {tmp_path}/rooms/shared, "
            "the workspace of rooms[1] (room1); choose another folder"
        )
    ]
