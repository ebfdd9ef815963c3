"""How a room is kept apart, what it may reach and use: merged with the defaults, refused where it makes no sense."""

from pathlib import Path

import pytest

from aiagentchat.config.settings import GitIdentity
from aiagentchat.core.isolation import Isolation, Network, RunLimits
from tests.unit.config_file import MATRIX, load_text, problems_of

ROOM = "rooms: [{id: '!a:x', name: a}]\n"


def test_who_says_nothing_gets_the_strictest_and_reaches_only_the_model(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + ROOM)
    room = settings.rooms[0]

    assert (settings.isolation, settings.isolation_minimum) == ("auto", Isolation.STRICT)
    assert (settings.room_uids, settings.subscription_in_room) == ((200_000, 265_535), False)
    assert (room.network, room.network_hosts, room.git, room.on_limit) == (Network.API, (), GitIdentity(), "wait")
    assert room.limits == RunLimits()


def test_groups_are_merged_by_key_and_hosts_add_up(tmp_path: Path) -> None:
    text = """
defaults:
  git: {name: Claude, email: c@x}
  limits: {memory: 100, processes: 0}
  network: allowlist
  network_hosts: ["PyPI.org"]
  on_limit: fail
rooms: [{id: "!a:x", git: {name: Anna}, limits: {memory: 200}, network_hosts: ["*.x.org", "10.0.0.1:80"]}]
"""
    room = load_text(tmp_path, MATRIX + text).rooms[0]

    assert room.git == GitIdentity("Anna", "c@x")
    assert room.limits == RunLimits(memory=200, processes=0)
    assert room.network_hosts == ("pypi.org", "*.x.org", "10.0.0.1:80")
    assert (room.network, room.on_limit) == (Network.ALLOWLIST, "fail")


@pytest.mark.parametrize("wanted", ["auto", "users", "strict"])
def test_a_way_that_is_good_enough_may_be_named(tmp_path: Path, wanted: str) -> None:
    text = f"isolation: {wanted}\nisolation_minimum: users\nroom_uids: 5000-5001\n"
    settings = load_text(tmp_path, MATRIX + text)

    assert (settings.isolation, settings.isolation_minimum) == (wanted, "users")
    assert settings.room_uids == (5000, 5001)


@pytest.mark.parametrize("host", ["pypi.org", "*.pypi.org", "localhost", "pypi.org:443", "127.0.0.1:80", "[::1]:80"])
def test_hosts_of_every_kind_are_accepted(tmp_path: Path, host: str) -> None:
    text = f'rooms: [{{id: "!a:x", network: full, network_hosts: ["{host}"]}}]'

    assert load_text(tmp_path, MATRIX + text).rooms[0].network_hosts == (host,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "isolation: sandbox",
            'isolation: "sandbox" is not allowed here; write one of: auto, strict, users, landlock, none',
            id="a way that there is not",
        ),
        pytest.param(
            "isolation: landlock",
            "isolation: landlock is less than isolation_minimum (strict); write auto, or isolation_minimum: landlock "
            "if you accept what it does not hold back",
            id="less than the minimum",
        ),
        pytest.param(
            "room_uids: 0-10",
            'room_uids: "0-10" is not a range of user ids from 1000 on; write for example "200000-265535"',
            id="user ids of the system",
        ),
        pytest.param(
            "room_uids: 3000-2000",
            'room_uids: "3000-2000" is not a range of user ids from 1000 on; write for example "200000-265535"',
            id="a range backwards",
        ),
        pytest.param(
            "defaults: {limits: {memory: -1}}",
            "defaults.limits.memory: -1 is not between 0 and 16777216; write for example 4096",
            id="a limit below zero",
        ),
        pytest.param(
            "defaults: {limits: {ram: 1}}",
            "defaults.limits.ram: this key is not known; write one of: processes, memory, file_size, workspace_size, "
            "output, niceness",
            id="a limit that there is not",
        ),
        pytest.param(
            "defaults: {limits: 512}",
            "defaults.limits: 512 is not a group of keys; write each key on its own line below, indented",
            id="one number as limits",
        ),
        pytest.param(
            'defaults: {git: {email: "<a@b>"}}',
            'defaults.git.email: "<a@b>" is not the mail address of a git author; write for example "claude@localhost"',
            id="what git does not take",
        ),
        pytest.param(
            'defaults: {network: full, network_hosts: ["https://pypi.org/"]}',
            'defaults.network_hosts[0]: "https://pypi.org/" is not a host; write for example "pypi.org"',
            id="an address as host",
        ),
        pytest.param(
            'defaults: {network: full, network_hosts: ["x:99999"]}',
            'defaults.network_hosts[0]: "x:99999" is not a host; write for example "pypi.org"',
            id="a port that there is not",
        ),
        pytest.param(
            "rooms: [{id: '!a:x', network: allowlist}]",
            "rooms[0]: network: allowlist needs network_hosts; list the hosts, or write api",
            id="a list without hosts",
        ),
        pytest.param(
            "rooms: [{id: '!a:x', network_hosts: [pypi.org]}]",
            "rooms[0]: network_hosts are listed, but network: api reaches none of them; add network: allowlist",
            id="hosts that are not reached",
        ),
        pytest.param(
            "defaults: {on_limit: stop}",
            'defaults.on_limit: "stop" is not allowed here; write one of: wait, fail',
            id="another answer to a usage limit",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_write(tmp_path: Path, text: str, expected: str) -> None:
    assert problems_of(tmp_path, MATRIX + text) == [f"config.yaml:2: {expected}"]


def test_without_isolation_there_is_one_room(tmp_path: Path) -> None:
    text = "isolation: none\nisolation_minimum: none\nrooms: [{id: '!a:x', name: a}, {id: '!b:x', name: b}]"

    assert problems_of(tmp_path, MATRIX + text) == [
        (
            "config.yaml:2: isolation: without isolation the 2 rooms could read and change each other's files; "
            "keep one room, or write auto"
        )
    ]
