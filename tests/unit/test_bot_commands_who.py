"""/who and /whoami say who may do what here, and why."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.access import Grant, Role
from aiagentchat.core.effects import GiveRole
from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.render import registry_words, words
from tests.fakes.clock import START_MS
from tests.fakes.front import Front, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ROOM, VERA, settings, typed

GRANT = Grant(room=ROOM, user=EVE, role=Role.USER, by=ADA, given_at=START_MS)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def let_in(front: Front) -> None:
    given = typed("given")
    await front.take_in(given)
    await front.ledger.inbox.settle(given.event, [GiveRole(GRANT)], START_MS)


async def test_everybody_with_a_role_is_named_with_it(front: Front) -> None:
    await let_in(front)

    [told] = await front.told(typed("/who", sender=VERA))
    assert told == words.who(
        words.WhoMay(admins=[ADA], users=[ANNA], viewers=[VERA], grants=[GRANT], needed={}), START_MS
    )
    assert "- **admin** (also answers in the turns of others, and `/allow`): `@ada:hs`" in told
    assert "`@eve:hs`: user by `/allow` of `@ada:hs`, until it is taken back" in told


async def test_lists_without_anybody_and_levels_are_told(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, admins=frozenset(), power=PowerNeeded(user=0)), GARDEN)
    front.members.states[ROOM] = powers({})

    [told] = await front.told(typed("/who"))
    assert "`/allow`): nobody" in told
    assert told.endswith("beside that, one must have so much power in the room: user 0")


@pytest.mark.parametrize(
    ("user", "why"),
    [
        pytest.param(
            ADA, "You are `@ada:hs`, and an admin in this room:\n\n- an admin in config.yaml, by your id", id="admin"
        ),
        pytest.param(VERA, "a viewer in config.yaml, by your id", id="viewer"),
        pytest.param(EVE, "and a user in this room:\n\n- `@eve:hs`: user by `/allow` of `@ada:hs`", id="let in"),
    ],
)
async def test_whoever_asks_is_told_what_they_are_and_why(front: Front, user: UserId, why: str) -> None:
    await let_in(front)

    [told] = await front.told(typed("/whoami", sender=user))
    assert why in told


async def test_a_rule_and_power_levels_are_named(front: Front) -> None:
    everybody = frozenset({UserId("@*:hs")})
    front.settings = settings(replace(KITCHEN, admins=everybody, power=PowerNeeded(admin=50)), GARDEN)
    front.members.states[ROOM] = powers({"users": {EVE: 10}})

    [told] = await front.told(typed("/whoami", sender=EVE))
    assert "and a user in this room" in told
    assert "- an admin in config.yaml, by the rule on your server" in told
    assert "- your power level in the room is 10; one must have so much power in the room: admin 50" in told


async def test_a_stranger_is_nobody(front: Front) -> None:
    assert await front.told(typed("/whoami", sender=EVE)) == [words.refused(EVE, "kitchen")]


async def test_other_agents_are_named_where_there_are_some(front: Front) -> None:
    [alone] = await front.told(typed("/who"))
    front.directory.register_session(InstanceName("term"), skills=["python"])
    [told] = await front.told(typed("/who", event="$again"))

    assert "Agents" not in alone
    assert told.startswith(alone)
    listed = registry_words.instances(front.directory.entries(), front.directory.own, START_MS)
    assert told == f"{alone}\n\n{listed}"
    assert "- **`term`**, a session on `h`: online; `python`" in told
