"""Settings are complete: defaults merged in, limits computed; they print without secrets and reload with care."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aiagentchat.config.describe import describe
from aiagentchat.config.limits import Limits, Machine, computed, measure
from aiagentchat.config.reload import compare
from aiagentchat.config.rooms import derived_name
from aiagentchat.config.secrets import load_secrets
from aiagentchat.config.settings import PowerNeeded, slug_wish
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.spending import Budget
from tests.unit.config_file import MATRIX, load_text

GIB = 1024**3
ROOM = RoomId("!a:x")


def test_a_room_that_says_nothing_has_what_is_built_in(tmp_path: Path) -> None:
    room = load_text(tmp_path, MATRIX + "rooms: [{id: '!a:x', name: a}]").rooms[0]

    assert (room.users, room.admins, room.viewers) == (frozenset(), frozenset(), frozenset())
    assert (room.timeout, room.agent, room.model, room.permission_mode) == (300, "claude", None, "default")
    assert (room.allow, room.deny, room.env) == ((), (), ())
    assert (room.mention_only, room.project_instructions, room.workspace, room.mounts) == (False, True, None, ())


def test_a_room_has_what_the_defaults_say(tmp_path: Path) -> None:
    defaults = """
defaults:
  users: ["@you:X.org"]
  admins: ["@a:x"]
  viewers: ["@v:x"]
  timeout: 5
  agent: opus
  model: m1
  permission_mode: plan
  mention_only: true
  project_instructions: false
agents: {opus: {model: m2, permission_mode: acceptEdits}}
rooms: [{id: "!a:x"}]
"""
    room = load_text(tmp_path, MATRIX + defaults).rooms[0]

    assert room.users == {UserId("@you:X.org")}
    assert room.admins == {UserId("@a:x")}
    assert room.viewers == {UserId("@v:x")}
    assert (room.timeout, room.agent, room.model, room.permission_mode) == (5, "opus", "m1", "plan")
    assert (room.mention_only, room.project_instructions) == (True, False)


def test_a_room_overrules_the_defaults_also_with_nothing(tmp_path: Path) -> None:
    text = """
defaults: {users: ["@you:x"], timeout: 5, mention_only: true, model: m1}
rooms: [{id: "!a:x", users: [], timeout: 6, mention_only: false, model: m2}]
"""
    room = load_text(tmp_path, MATRIX + text).rooms[0]

    assert (room.users, room.timeout, room.mention_only, room.model) == (frozenset(), 6, False, "m2")


def test_what_nobody_says_comes_from_the_agent(tmp_path: Path) -> None:
    text = "agents: {claude: {model: m, permission_mode: plan}}\nrooms: [{id: '!a:x'}]"
    room = load_text(tmp_path, MATRIX + text).rooms[0]

    assert (room.model, room.permission_mode) == ("m", "plan")


def test_rules_add_up_and_variables_are_merged_by_name(tmp_path: Path) -> None:
    text = """
agents: {claude: {allow: [A], deny: [D]}}
defaults: {allow: [B], deny: [D, E], env: {X: "1", Y: "1"}}
rooms: [{id: "!a:x", allow: [C], deny: [F], env: {Y: "2", A: ""}}]
"""
    room = load_text(tmp_path, MATRIX + text).rooms[0]

    assert (room.allow, room.deny) == (("A", "B", "C"), ("D", "E", "F"))
    assert room.env == (("A", ""), ("X", "1"), ("Y", "2"))


@pytest.mark.parametrize("where", ["agents", "rooms", "defaults"])
def test_bypass_is_accepted_from_an_agent_that_admits_to_it(tmp_path: Path, where: str) -> None:
    mode = ", permission_mode: bypassPermissions"
    said = {name: mode if name == where else "" for name in ("agents", "rooms", "defaults")}
    text = f"""
agents: {{claude: {{i_know_bypass_is_dangerous: true{said["agents"]}}}}}
defaults: {{timeout: 300{said["defaults"]}}}
rooms: [{{id: "!a:x"{said["rooms"]}}}]
"""

    assert load_text(tmp_path, MATRIX + text).rooms[0].permission_mode == "bypassPermissions"


@pytest.mark.parametrize(
    "room_id", ["!abc:localhost", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", "#büro:x.org:8448"]
)
def test_ids_of_every_kind_of_room_are_accepted(tmp_path: Path, room_id: str) -> None:
    assert load_text(tmp_path, f'{MATRIX}rooms: [{{id: "{room_id}"}}]').rooms[0].id == room_id


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("room_id", "expected"),
    [
        pytest.param("#backend:x.org", "backend", id="an alias is readable"),
        pytest.param("#Team Büro:x", "team-b-ro", id="what does not fit becomes a dash"),
        pytest.param("#über-:x", "ber", id="no dashes at the ends"),
    ],
)
def test_a_room_is_named_by_its_alias(room_id: str, expected: str) -> None:
    assert derived_name(room_id) == expected


@pytest.mark.parametrize("room_id", ["!AbC:x", "!" + "z" * 200 + ":x", "#日本:x", "!__:x"])
def test_a_derived_name_fits_a_folder(room_id: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", derived_name(room_id))


def test_rooms_whose_ids_differ_in_case_have_different_names() -> None:
    assert derived_name("!AbC:x") != derived_name("!aBc:x")


def test_the_folder_that_a_room_wishes_for_is_its_name(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + "rooms: [{id: '!a:x', name: backend}]")

    assert slug_wish(settings.rooms[0]) == "backend"
    assert settings.workspace_of(settings.rooms[0], "fixed") == tmp_path / "rooms/fixed"


# ── aliases ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_room_is_found_once_its_alias_is_resolved(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + "rooms: [{id: '#a:x'}, {id: '#b:x'}, {id: '!c:x', name: c}]")
    resolved = settings.with_resolved({"#a:x": ROOM})
    found = resolved.room(ROOM)

    assert settings.aliases == ("#a:x", "#b:x")
    assert settings.room(ROOM) is None
    assert found is not None
    assert found.name == "a"
    assert resolved.aliases == ("#b:x",)


def test_two_names_of_one_room_are_an_error(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + "rooms:\n  - {id: '!a:x', name: one}\n  - {id: '#a:x'}")

    with pytest.raises(ConfigError) as caught:
        settings.with_resolved({"#a:x": ROOM})

    assert caught.value.problems == [
        f"{tmp_path}/config.yaml:4: rooms[1].id: #a:x is the same room (!a:x) as one; remove one of the two"
    ]


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        pytest.param(Machine(1, GIB // 2), Limits(1, 1), id="a very small machine runs one"),
        pytest.param(Machine(2, 2 * GIB), Limits(2, 1), id="a small machine is bound by memory"),
        pytest.param(Machine(4, 64 * GIB), Limits(8, 32), id="a large one by cores"),
        pytest.param(Machine(256, 1024 * GIB), Limits(32, 32), id="a huge one by reason"),
    ],
)
def test_limits_follow_from_the_machine(machine: Machine, expected: Limits) -> None:
    assert computed(machine) == expected


def test_a_container_has_the_memory_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "limited").write_text("1048576\n", encoding="ascii")
    (tmp_path / "unlimited").write_text("max\n", encoding="ascii")

    assert measure(tmp_path / "limited").memory == 1048576
    assert measure(tmp_path / "unlimited") == measure(tmp_path / "missing")


def test_limits_that_are_not_said_are_computed(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + "max_parallel_turns: null\nmax_warm: 0")

    assert settings.max_parallel_turns >= 1
    assert settings.max_warm == 0
    assert settings.computed == {"max_parallel_turns"}


# ── printing and reloading ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_in_force_is_printed_as_yaml_without_secrets(tmp_path: Path) -> None:
    text = "max_warm: 3\ndefaults: {users: ['@you:x']}\nrooms: [{id: '!a:x', name: a, env: {NPM_TOKEN: private}}]"
    settings = load_text(tmp_path, MATRIX + text)
    printed = describe(settings, load_secrets({"MATRIX_PASSWORD": "hunter2", "ANTHROPIC_BASE_URL": "http://x"}))

    assert yaml.safe_load(printed) == settings.effective()
    assert settings.effective()["rooms"][0]["workspace"] == f"{tmp_path}/rooms/a"
    assert f"max_parallel_turns: {settings.max_parallel_turns}  # computed from this machine\n" in printed
    assert "max_warm: 3\n" in printed
    assert "# secrets found: MATRIX_PASSWORD\n# ANTHROPIC_BASE_URL: http://x\n# There is no key" in printed
    assert "no login for Matrix" not in printed
    assert "private" not in printed
    assert "hunter2" not in printed


def test_rooms_that_nobody_can_use_are_remarked_on(tmp_path: Path) -> None:
    without_rooms = describe(load_text(tmp_path, MATRIX), load_secrets({}))
    without_users = describe(load_text(tmp_path, MATRIX + "rooms: [{id: '!a:x', name: a}]"), load_secrets({}))

    assert "# secrets found: none\n# There is no login for Matrix" in without_rooms
    assert without_rooms.endswith("# no rooms: nothing will be answered\n")
    assert without_users.endswith("# a: nobody may use this room; add users or admins\n")


def test_a_change_of_the_account_or_the_data_needs_a_restart(tmp_path: Path) -> None:
    old = load_text(tmp_path, MATRIX)
    new = load_text(tmp_path, MATRIX.replace("@claude", "@other") + "data_dir: ./d2")

    assert compare(old, new) == [
        'matrix.user_id: the change from "@claude:localhost" to "@other:localhost" needs a restart',
        f'data_dir: the change from "{tmp_path}/data" to "{tmp_path}/d2" needs a restart',
    ]


def test_everything_else_can_be_applied(tmp_path: Path) -> None:
    old = load_text(tmp_path, MATRIX)
    new = load_text(tmp_path, MATRIX + "workspaces: ./w\nmax_queue: 3\nrooms: [{id: '!a:x'}]")

    assert compare(old, new) == []


def test_a_room_that_only_moved_in_the_file_is_the_same(tmp_path: Path) -> None:
    old = load_text(tmp_path, MATRIX + "rooms: [{id: '!a:x'}]")
    new = load_text(tmp_path, MATRIX + "\n\nrooms: [{id: '!a:x'}]")

    assert old == new


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_people_are_ids_and_rules_on_one_whole_server_to_the_letter(tmp_path: Path) -> None:
    listed = ["@You:x", "@*:example.org", "@*:example.org:8448", "@*:[::1]:443"]
    text = f"rooms: [{{id: '!a:x', name: a, users: {listed}, admins: ['@*:x'], viewers: ['@*:y']}}]"
    room = load_text(tmp_path, MATRIX + text).rooms[0]

    assert room.users == set(listed)
    assert room.admins == {UserId("@*:x")}
    assert room.viewers == {UserId("@*:y")}


def test_power_is_merged_by_role(tmp_path: Path) -> None:
    text = """
defaults: {power: {user: 0, admin: 50}}
rooms:
  - {id: "!a:x", name: a, power: {viewer: 0, admin: 100}}
  - {id: "!b:x", name: b}
"""
    first, second = load_text(tmp_path, MATRIX + text).rooms

    assert first.power == PowerNeeded(viewer=0, user=0, admin=100)
    assert second.power == PowerNeeded(user=0, admin=50)


def test_without_it_no_power_is_asked_for_and_what_is_asked_for_is_printed(tmp_path: Path) -> None:
    text = "rooms: [{id: '!a:x', name: a}, {id: '!b:x', name: b, power: {user: 10}}]"
    settings = load_text(tmp_path, MATRIX + text)

    assert settings.rooms[0].power == PowerNeeded()
    assert [room["power"] for room in settings.effective()["rooms"]] == [
        {"viewer": None, "user": None, "admin": None},
        {"viewer": None, "user": 10, "admin": None},
    ]


# ── budgets ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_budgets_are_dollars_in_the_file_and_exact_inside(tmp_path: Path) -> None:
    text = """
budget_day: 50
budget_month: 0.1
defaults: {budget: {turn: 1.10, day: 10}}
rooms: [{id: "!a:x", budget: {day: 0, month: 99.999999}}, {id: "!b:x"}]
"""
    settings = load_text(tmp_path, MATRIX + text)

    assert settings.budget == Budget(day=50_000_000, month=100_000)
    assert settings.rooms[0].budget == Budget(turn=1_100_000, day=0, month=99_999_999)
    assert settings.rooms[1].budget == Budget(turn=1_100_000, day=10_000_000)
    assert settings.effective()["budget_day"] == 50
    assert settings.effective()["rooms"][0]["budget"] == {"turn": 1.1, "day": 0, "month": 99.999999}


def test_without_a_word_there_is_no_budget(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + "rooms: [{id: '!a:x'}]")

    assert (settings.budget, settings.rooms[0].budget) == (Budget(), Budget())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("day: '10'", 'rooms[0].budget.day: "10" is not an amount in US dollars; write for example 10.00'),
        ("day: true", "rooms[0].budget.day: true is not an amount in US dollars; write for example 10.00"),
        ("turn: -1", "rooms[0].budget.turn: -1 is not between 0 and 1000000; write for example 1.00"),
        ("turn: 0.0000001", "rooms[0].budget.turn: 1e-07 has more than six places; write for example 1.00"),
        ("month: 1e9", "rooms[0].budget.month: 1000000000.0 is not between 0 and 1000000; write for example 100.00"),
        ("week: 1", "rooms[0].budget.week: this key is not known; write one of: turn, day, month"),
    ],
)
def test_what_is_no_amount_is_refused_with_an_example(tmp_path: Path, said: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_text(tmp_path, f"{MATRIX}rooms: [{{id: '!a:x', budget: {{{said}}}}}]")

    assert str(error.value).endswith(problem)


def test_other_rooms_are_reached_by_the_names_that_the_file_gives_them(tmp_path: Path) -> None:
    text = MATRIX + (
        "defaults: {exchange: {rooms: [a, b, nowhere]}}\n"
        "rooms: [{id: '!a:x', name: a}, {id: '!b:x', name: b}, {id: '!c:x', name: c, exchange: {rooms: []}}]"
    )
    settings = load_text(tmp_path, text)
    made = replace(settings.rooms[1], made_by=UserId("@anna:x"))

    assert [settings.reached_from(room) for room in settings.rooms] == [("!b:x",), ("!a:x",), ()]
    assert replace(settings, rooms=(settings.rooms[0], made)).reached_from(settings.rooms[0]) == ()
