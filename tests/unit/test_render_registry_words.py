"""/who names the other agents, in lines that fit on a phone."""

from dataclasses import replace

from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.render.registry_words import FORGOTTEN_MS, SHOWN, instances

NOW = 1_900_000_000_000
OWN = Instance(
    user=UserId("@claude:hs"), name=InstanceName("here"), kind=InstanceKind.DAEMON, host="build-1", seen_at=NOW
)
TERM = replace(OWN, name=InstanceName("term"), kind=InstanceKind.SESSION, skills=("python", "bad`tick"), status="busy")
OTHER = replace(OWN, user=UserId("@other:hs"), name=InstanceName("shop"), host="", seen_at=NOW - 3 * 3_600_000)


def test_each_is_named_with_its_kind_host_status_and_skills_and_when_it_was_seen() -> None:
    told = instances([(OWN, True), (TERM, True), (OTHER, False)], OWN.address, NOW)

    assert told == (
        "Agents that can be asked:\n"
        "\n"
        "- **`here`**, this daemon on `build-1`: online\n"
        "- **`term`**, a session on `build-1`: busy; `python`, ``bad`tick``\n"
        "- **`shop`** of `@other:hs`, a daemon: offline, seen 3 h ago"
    )


def test_those_that_are_away_come_last_and_are_forgotten_after_a_week() -> None:
    old = replace(OTHER, name=InstanceName("old"), seen_at=NOW - FORGOTTEN_MS)
    forgotten = replace(OTHER, name=InstanceName("forgotten"), seen_at=NOW - FORGOTTEN_MS - 1)
    ahead = replace(OTHER, name=InstanceName("ahead"), seen_at=NOW + 5)
    told = instances([(old, False), (forgotten, False), (OTHER, False), (ahead, False), (OWN, True)], OWN.address, NOW)

    assert [line.split("`")[1] for line in told.splitlines()[2:]] == ["here", "ahead", "shop", "old"]
    assert "seen just now" in told


def test_of_many_it_is_said_how_many_more_there_are() -> None:
    many = [(replace(OTHER, name=InstanceName(f"i{number}")), True) for number in range(99)]
    lines = instances([*many, (OWN, True)], OWN.address, NOW).splitlines()

    assert lines[2] == "- **`here`**, this daemon on `build-1`: online"
    assert len(lines) == 2 + SHOWN + 1
    assert lines[-1] == f"- … and {100 - SHOWN} more"
