"""Roles that were given in rooms."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.access import Grant, Role
from aiagentchat.core.effects import GiveRole, TakeRole
from aiagentchat.core.ids import UserId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, OpenLedger, settle

GRANT = Grant(room=ROOM, user=BERT, role=Role.USER, by=ANNA, given_at=NOW)


async def give(ledger: Ledger, *grants: Grant) -> None:
    for number, grant in enumerate(grants):
        assert await settle(ledger, GiveRole(grant), event=f"$give-{grant}-{number}")


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param(GRANT, id="a user for good"),
        pytest.param(replace(GRANT, role=Role.VIEWER, until=NOW + 1), id="a viewer for a moment"),
        pytest.param(replace(GRANT, user=UserId("@Bert:example.org")), id="with a capital"),
    ],
)
async def test_a_grant_is_kept_as_it_was_given(backend: OpenLedger, tmp_path: Path, grant: Grant) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        assert await first.grants.in_room(ROOM, NOW) == []
        await give(first, grant)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.grants.in_room(ROOM, NOW) == [grant]
        assert await second.grants.in_room(OTHER_ROOM, NOW) == []


async def test_a_grant_ends_at_its_moment(ledger: Ledger) -> None:
    await give(ledger, replace(GRANT, until=NOW + 5))

    assert [len(await ledger.grants.in_room(ROOM, NOW + after)) for after in (0, 4, 5, 6)] == [1, 1, 0, 0]


async def test_the_last_word_about_somebody_counts(ledger: Ledger) -> None:
    less = replace(GRANT, role=Role.VIEWER, by=UserId("@ada:example.org"), given_at=NOW + 1, until=NOW + 9)
    await give(ledger, GRANT, less)

    assert await ledger.grants.in_room(ROOM, NOW) == [less]


async def test_those_of_a_room_come_in_the_order_in_which_they_were_given(ledger: Ledger) -> None:
    first = replace(GRANT, user=UserId("@z:example.org"))
    second = replace(GRANT, user=UserId("@a:example.org"), given_at=NOW + 1)
    await give(ledger, second, first)

    assert await ledger.grants.in_room(ROOM, NOW) == [first, second]


async def test_one_that_is_taken_back_is_gone_and_no_other(ledger: Ledger) -> None:
    other, elsewhere = replace(GRANT, user=ANNA), replace(GRANT, room=OTHER_ROOM)
    await give(ledger, GRANT, other, elsewhere)
    await settle(ledger, TakeRole(ROOM, BERT, ANNA), TakeRole(ROOM, UserId("@nobody:example.org"), ANNA))

    assert await ledger.grants.in_room(ROOM, NOW) == [other]
    assert await ledger.grants.in_room(OTHER_ROOM, NOW) == [elsewhere]
