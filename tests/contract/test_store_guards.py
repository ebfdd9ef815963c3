"""How often agents have begun turns, and where they may not any more."""

from dataclasses import replace
from pathlib import Path

from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.effects import AcceptCommand, HaltAgents, LetAgentsGoOn
from aiagentchat.core.guards import AgentTurn, Halt, Limit, Standing
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, NOW, OTHER_ROOM, ROOM, OpenLedger, command, incoming, settle

PAIR, OTHERS = "@a:hs @b:hs", "@a:hs @c:hs"
HALT = Halt(room=ROOM, limit=Limit.PAIR, turns=10, pair=PAIR, at=NOW)


async def begin(ledger: Ledger, event: str, *, pair: str = PAIR, room: RoomId = ROOM, now: int = NOW) -> None:
    """An agent begins a turn."""
    await ledger.inbox.take_in("token", [replace(incoming(event), room=room)], now)
    turn = AgentTurn(event=EventId(event), room=room, pair=pair)
    assert await ledger.inbox.settle(EventId(event), [AcceptCommand(command(event, room)), turn], now)


async def counts(ledger: Ledger, since: int = NOW - 1) -> tuple[int, int]:
    standing = await ledger.guards.standing(ROOM, PAIR, since)
    return standing.in_pair, standing.in_room


async def kinds(ledger: Ledger) -> list[AuditKind]:
    return [line.deed.kind for line in await ledger.audit.lines(AuditFilter(), limit=99)]


async def test_where_no_agent_has_asked_for_anything_nothing_is_counted(ledger: Ledger) -> None:
    assert await ledger.guards.standing(ROOM, PAIR, 0) == Standing()
    assert await ledger.guards.halts() == []


async def test_turns_are_counted_for_the_pair_and_for_the_room(ledger: Ledger) -> None:
    await begin(ledger, "$1")
    await begin(ledger, "$2")
    await begin(ledger, "$3", pair=OTHERS)
    await begin(ledger, "$4", room=OTHER_ROOM)

    assert await counts(ledger) == (2, 3)


async def test_a_turn_counts_for_so_long(ledger: Ledger) -> None:
    await begin(ledger, "$1")
    await begin(ledger, "$2", now=NOW + 5)

    assert [await counts(ledger, NOW + after) for after in (-1, 0, 4, 5)] == [(2, 2), (1, 1), (1, 1), (0, 0)]


async def test_a_message_that_comes_once_more_is_counted_once(ledger: Ledger) -> None:
    await begin(ledger, "$1")
    await settle(ledger, AgentTurn(event=EventId("$1"), room=ROOM, pair=PAIR), event="$again")

    assert await counts(ledger) == (1, 1)


async def test_what_was_counted_is_known_in_the_next_life(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await begin(first, "$1")
        await settle(first, HaltAgents(HALT))

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.guards.standing(ROOM, PAIR, NOW - 1) == Standing(halt=HALT, in_pair=1, in_room=1)


async def test_the_first_reason_of_a_halt_stands_and_is_a_deed(ledger: Ledger) -> None:
    await settle(ledger, HaltAgents(HALT))
    await settle(ledger, HaltAgents(replace(HALT, limit=Limit.ROOM, pair="", at=NOW + 1)), event="$more")

    assert await ledger.guards.halt(ROOM) == HALT
    assert await ledger.guards.halt(OTHER_ROOM) is None
    assert await kinds(ledger) == [AuditKind.HALTED]


async def test_halts_come_in_the_order_in_which_they_began(ledger: Ledger) -> None:
    later = Halt(room=OTHER_ROOM, limit=Limit.ROOM, turns=30, at=NOW + 1)
    await settle(ledger, HaltAgents(later), HaltAgents(HALT))

    assert await ledger.guards.halts() == [HALT, later]


async def test_whoever_lets_agents_go_on_has_them_counted_anew(ledger: Ledger) -> None:
    await begin(ledger, "$1")
    await begin(ledger, "$2", room=OTHER_ROOM)
    await settle(ledger, HaltAgents(HALT))
    await settle(ledger, LetAgentsGoOn(ROOM, ANNA), event="$on")

    assert await ledger.guards.standing(ROOM, PAIR, 0) == Standing()
    assert (await ledger.guards.standing(OTHER_ROOM, PAIR, 0)).in_room == 1
    assert (await kinds(ledger))[-2:] == [AuditKind.HALTED, AuditKind.CONTINUED]


async def test_where_nothing_is_halted_letting_go_on_is_no_deed(ledger: Ledger) -> None:
    await settle(ledger, LetAgentsGoOn(ROOM, ANNA))

    assert await kinds(ledger) == []


async def test_turns_are_forgotten_before_their_commands(ledger: Ledger) -> None:
    await begin(ledger, "$1")
    await begin(ledger, "$2", now=NOW + 1)

    assert await ledger.housekeeping.prune_agent_turns(NOW + 1) == 1
    assert await counts(ledger) == (1, 1)
    assert await ledger.commands.get(EventId("$1")) is not None
