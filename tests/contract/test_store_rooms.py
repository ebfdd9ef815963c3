"""What is remembered of rooms, conversations and the login."""

from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import NewSession
from aiagentchat.core.ids import EventId, RoomId, SessionId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    SESSION,
    OpenLedger,
    accept,
    command,
    settle,
)

NEW = SessionId("5e551011-0000-4000-8000-00000000000a")


async def test_a_room_keeps_the_folder_name_of_its_first_call(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        assert await first.rooms.slug(ROOM, "kitchen") == "kitchen"

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.rooms.slug(ROOM, "renamed") == "kitchen"


async def test_two_rooms_never_share_a_folder_name(ledger: Ledger) -> None:
    slugs = [await ledger.rooms.slug(RoomId(f"!{number}:example.org"), "kitchen") for number in range(4)]

    assert slugs == ["kitchen", "kitchen-2", "kitchen-3", "kitchen-4"]


async def test_a_room_that_is_known_by_its_session_still_gets_a_folder_name(ledger: Ledger) -> None:
    await accept(ledger, command("$a"))

    assert await ledger.rooms.slug(ROOM, "kitchen") == "kitchen"
    assert await ledger.sessions.current(ROOM) == SESSION


async def test_a_folder_name_is_no_conversation(ledger: Ledger) -> None:
    await ledger.rooms.slug(ROOM, "kitchen")
    assert await ledger.sessions.current(ROOM) is None

    await accept(ledger, command("$a"))
    assert await ledger.sessions.current(ROOM) == SESSION


async def test_a_session_has_begun_once_the_agent_has_seen_it(ledger: Ledger) -> None:
    assert not await ledger.sessions.begun(SESSION)
    await ledger.sessions.mark_begun(SESSION, NOW)
    await ledger.sessions.mark_begun(SESSION, NOW + 1)

    assert await ledger.sessions.begun(SESSION)
    assert not await ledger.sessions.begun(OTHER_SESSION)


async def test_a_lost_session_is_replaced_for_the_room_and_for_all_that_has_not_ended(ledger: Ledger) -> None:
    await accept(
        ledger,
        command("$ended"),
        command("$running"),
        command("$queued"),
        command("$thread", session=OTHER_SESSION),
        command("$elsewhere", OTHER_ROOM),
    )
    await ledger.commands.start(EventId("$ended"), NOW)
    await ledger.commands.finish(EventId("$ended"), CommandState.DONE, TurnRecord(), [], NOW)
    await ledger.commands.start(EventId("$running"), NOW)
    await ledger.sessions.replace(ROOM, SESSION, NEW, NOW)

    events = ("$ended", "$running", "$queued", "$thread", "$elsewhere")
    found = [await ledger.commands.get(EventId(event)) for event in events]
    assert [each.session for each in found if each] == [SESSION, NEW, NEW, OTHER_SESSION, SESSION]
    assert await ledger.sessions.current(ROOM) == NEW
    assert await ledger.sessions.current(OTHER_ROOM) == SESSION


async def test_a_room_that_has_moved_on_is_not_called_back(ledger: Ledger) -> None:
    await accept(ledger, command("$a"))
    await settle(ledger, NewSession(ROOM, OTHER_SESSION))
    await ledger.sessions.replace(ROOM, SESSION, NEW, NOW)

    assert await ledger.sessions.current(ROOM) == OTHER_SESSION


@pytest.mark.parametrize(
    "newest",
    [
        Login(user=ANNA, device="D2", access_token="second"),
        Login(user=ANNA, device="D1", access_token="second", refresh_token="its own", renew_at=NOW),
    ],
    ids=["does not wear off", "wears off"],
)
async def test_the_newest_login_of_an_account_is_kept_whole(backend: OpenLedger, tmp_path: Path, newest: Login) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        assert await first.accounts.login(ANNA) is None
        await first.accounts.save_login(
            Login(user=ANNA, device="D1", access_token="first", refresh_token="of the first", renew_at=NOW - 1)
        )
        await first.accounts.save_login(newest)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.accounts.login(ANNA) == newest
        assert await second.accounts.login(BERT) is None
