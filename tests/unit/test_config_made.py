"""Rooms that were made in chat, beside those of config.yaml."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.describe import describe
from aiagentchat.config.made import with_made
from aiagentchat.config.secrets import load_secrets
from aiagentchat.config.settings import Mount, Settings
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.isolation import Network
from aiagentchat.core.rooms import Made, MadeRoom, WaitingRoom
from tests.unit.config_file import MATRIX, load_text, problems_of

ADA, ANNA = UserId("@ada:x"), UserId("@anna:x")
NEW, OTHER = RoomId("!new:x"), RoomId("!other:x")
DEFAULTS = (
    f'{MATRIX}defaults: {{users: ["{ANNA}"], admins: ["{ADA}"], timeout: 77, '
    'network: allowlist, network_hosts: ["A.b"]}\n'
)


def made(*folders: str, by: UserId = ADA) -> Made:
    """One room for each folder; the first is NEW, the second OTHER."""
    rooms = tuple(MadeRoom(room=room, folder=folder, by=by, at=1) for room, folder in zip((NEW, OTHER), folders))  # noqa: B905
    return Made(rooms=rooms, slugs={each.room: each.folder for each in rooms})


def waiting(room: RoomId) -> WaitingRoom:
    return WaitingRoom(room=room, by=ADA, since=1, until=2, keeps=True)


def names(settings: Settings) -> list[str]:
    return [room.name for room in settings.rooms]


def test_a_room_is_as_the_defaults_have_it(tmp_path: Path) -> None:
    settings, problems = with_made(load_text(tmp_path, f"{DEFAULTS}rooms: []\n"), made("tea"))

    room = settings.room(NEW)
    assert room is not None
    assert problems == []
    assert (room.name, room.users, room.admins, room.made_by) == ("tea", {ANNA}, {ADA}, ADA)  # type: ignore[comparison-overlap]
    assert (room.timeout, room.network, room.network_hosts, room.agent) == (77, Network.ALLOWLIST, ("a.b",), "claude")
    assert settings.workspace_of(room, "tea") == tmp_path / "rooms" / "tea"


def test_what_is_made_anew_takes_the_place_of_what_was_made_before(tmp_path: Path) -> None:
    first, _ = with_made(load_text(tmp_path, f'{DEFAULTS}rooms: [{{id: "!a:x", name: a}}]\n'), made("tea", "pot"))
    assert names(first) == ["a", "tea", "pot"]

    second, _ = with_made(first, made("tea"))
    assert names(second) == ["a", "tea"]
    assert names(with_made(second, Made())[0]) == ["a"]


def test_a_room_of_config_yaml_is_as_it_says_there(tmp_path: Path) -> None:
    settings, problems = with_made(
        load_text(tmp_path, f'{DEFAULTS}rooms: [{{id: "{NEW}", name: mine, users: []}}]\n'), made("tea")
    )

    assert problems == []
    assert [(room.name, room.made_by, len(room.users)) for room in settings.rooms] == [("mine", None, 0)]


def test_a_name_that_a_room_of_config_yaml_has_is_not_given_twice(tmp_path: Path) -> None:
    text = f'{DEFAULTS}rooms: [{{id: "!a:x", name: tea, workspace: rooms/a}}]\n'
    settings, problems = with_made(load_text(tmp_path, text), made("tea"))

    assert problems == []
    assert names(settings)[0] == "tea"
    assert names(settings)[1].startswith("new-")


def test_rooms_that_wait_are_those_that_are_none_yet(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, f'{DEFAULTS}rooms: [{{id: "!a:x", name: a}}]\n')
    known = replace(made("tea"), waiting=(waiting(RoomId("!a:x")), waiting(NEW), waiting(OTHER)))
    settings, _ = with_made(loaded, known)

    assert [each.room for each in settings.waiting] == [OTHER]
    assert [settings.hears(room) for room in (NEW, OTHER, RoomId("!z:x"))] == [True, True, False]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        pytest.param('{id: "!a:x", workspace: rooms/tea}', "is also the workspace of", id="the same workspace"),
        pytest.param('{id: "!a:x", workspace: rooms/tea/pot}', "overlaps", id="a workspace in it"),
    ],
)
def test_a_room_that_would_share_a_folder_is_left_out_and_the_others_are_not(
    tmp_path: Path, config: str, why: str
) -> None:
    settings, problems = with_made(load_text(tmp_path, f"{DEFAULTS}rooms: [{config}]\n"), made("tea", "pot"))

    assert [room.id for room in settings.rooms] == ["!a:x", OTHER]
    [problem] = problems
    assert why in problem
    assert "made in chat by @ada:x" in problem


def test_a_room_that_another_room_has_mounted_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "rooms" / "tea").mkdir(parents=True)
    loaded = load_text(tmp_path, f'{DEFAULTS}rooms: [{{id: "!a:x", name: a}}]\n')
    mounting = replace(loaded.rooms[0], mounts=(Mount(tmp_path / "rooms" / "tea", "rw"),))
    settings, problems = with_made(replace(loaded, rooms=(mounting,)), made("tea"))

    assert names(settings) == ["a"]
    assert problems != []


def test_a_link_in_the_place_of_the_folder_leaves_the_room_out(tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "tea").symlink_to(tmp_path)
    settings, problems = with_made(load_text(tmp_path, DEFAULTS), made("tea"))

    assert settings.rooms == ()
    assert "symbolic link" in problems[0]


# ── the agent of such a room ──


def test_where_one_agent_has_another_name_it_is_taken(tmp_path: Path) -> None:
    settings, problems = with_made(load_text(tmp_path, f"{DEFAULTS}agents: {{helper: {{model: opus}}}}\n"), made("tea"))

    assert problems == []
    assert [(room.agent, room.model) for room in settings.rooms] == [("helper", "opus")]


def test_without_an_agent_there_is_no_room(tmp_path: Path) -> None:
    settings, problems = with_made(load_text(tmp_path, f"{DEFAULTS}agents: {{}}\n"), made("tea"))

    assert settings.rooms == ()
    assert problems == [f"{NEW}, made in chat by {ADA}: no agent is called claude; set defaults.agent"]


def test_bypass_is_not_had_by_making_a_room(tmp_path: Path) -> None:
    text = MATRIX + f'defaults: {{admins: ["{ADA}"], permission_mode: bypassPermissions}}\n'
    settings, problems = with_made(load_text(tmp_path, text), made("tea"))
    assert settings.rooms == ()
    assert "bypassPermissions" in problems[0]

    admits = f"{text}agents: {{claude: {{i_know_bypass_is_dangerous: true}}}}\n"
    assert names(with_made(load_text(tmp_path, admits), made("tea"))[0]) == ["tea"]


# ── who ──


def test_admins_of_everything_are_admins_of_what_was_made_but_not_of_a_direct_chat(tmp_path: Path) -> None:
    root = UserId("@root:x")
    loaded = load_text(tmp_path, f'{DEFAULTS}admins: ["{root}"]\n')
    direct = MadeRoom(room=OTHER, folder="pot", by=ANNA, at=1, direct=True)
    settings, _ = with_made(loaded, replace(made("tea"), rooms=(*made("tea").rooms, direct)))

    assert [set(room.admins) for room in settings.rooms] == [{ADA, root}, set()]
    assert [set(room.users) for room in settings.rooms] == [{ANNA}, {ANNA}]


def test_who_is_named_nowhere_has_nothing_left(tmp_path: Path) -> None:
    gone = UserId("@gone:x")
    settings, _ = with_made(load_text(tmp_path, DEFAULTS), made("tea", by=gone))
    [room] = settings.rooms

    assert gone not in room.users | room.admins | room.viewers


def test_keys_that_are_wrong_are_sentences(tmp_path: Path) -> None:
    assert problems_of(tmp_path, f"{MATRIX}dm: on\nadmins: ['*']\n") == [
        'config.yaml:2: dm: "on" is not allowed here; write one of: off, create',
        'config.yaml:3: admins[0]: "*" has a * in it; only the exact id of one user is accepted here',
    ]


def test_nothing_is_made_by_itself(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX)

    assert (settings.dm, settings.admins, settings.waiting) == ("off", frozenset(), ())
    assert not settings.is_named(ADA)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rooms: nothing will be answered"),
        ('admins: ["@ada:x"]\n', "no rooms here: only those that are made in chat"),
        ('defaults: {admins: ["@ada:x"]}\n', "no rooms here: only those that are made in chat"),
        ("dm: create\n", "no rooms here: only those that are made in chat"),
    ],
)
def test_a_file_without_rooms_says_whether_any_can_be_made(tmp_path: Path, text: str, said: str) -> None:
    assert describe(load_text(tmp_path, f"{MATRIX}{text}"), load_secrets({})).endswith(f"# {said}\n")
