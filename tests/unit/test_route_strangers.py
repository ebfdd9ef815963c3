"""Whoever has no role brings nothing about, by whatever name and whatever way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.ids import EventId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ME, ROOM, command, settings, typed

STRANGERS = [
    EVE,
    *map(
        UserId,
        [
            "@Anna:hs",
            "@anna:HS",
            "@\u0430nna:hs",
            "@anna\u200b:hs",
            "@anna :hs",
            "@anna:hs ",
            "@anna:hs\n",
            "@anna:hs:443",
            "@anna:hs.evil",
            "@anna:evil.hs",
            "@ada@anna:hs.x",
            "@anna",
            "anna:hs",
            "Anna",
            "@*:hs",
            "@*:*",
            "*",
            "",
        ],
    ),
]
"""Nobody of them is anybody."""
WORDS = [
    "make tea",
    "@claude:hs make tea",
    "claude: make tea",
    "/allow @eve:hs",
    "!allow @anna:hs.evil user for 9d",
    "/allow remove @anna:hs",
    "/approve",
    "/deny",
    "/stop",
    "/retry",
    "/timeout +9h",
    "/new_session",
    "✅",
    "🛑",
    "❌",
    "👍🏽",
]
QUEUED, RUNNING = EventId("$queued"), EventId("$running")
KINDS = [Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.REACTION, Kind.EDIT, Kind.MALFORMED, Kind.REDACTION]


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        await opened.running(command(event=RUNNING))
        await opened.accepted(command(event=QUEUED))
        await opened.asked("a")
        await opened.deliver()
        yield opened


async def _world(front: Front) -> object:
    ledger = front.ledger
    queue = await ledger.commands.queue(ROOM)
    return (
        [replace(each, text="") for each in queue],  # whoever the homeserver lets redact it takes its text out
        [await ledger.commands.stop_requested(each.event) for each in queue],
        [await ledger.commands.time_limit(each.event) for each in queue],
        await ledger.commands.counts(),
        await ledger.approvals.open_in(ROOM),
        await ledger.grants.in_room(ROOM, front.clock.now_ms()),
        await ledger.sessions.current(ROOM),
    )


ATTEMPTS = st.builds(
    Incoming,
    event=st.integers(0, 10**9).map(lambda number: EventId(f"$attempt{number}")),
    room=st.just(ROOM),
    sender=st.sampled_from(STRANGERS),
    sent_at=st.just(1),
    kind=st.sampled_from(KINDS),
    body=st.sampled_from(WORDS),
    # What waits is taken back by whoever the homeserver lets redact it: that is not tried here.
    target=st.none() | st.sampled_from([RUNNING, event_of(TxnId("question a")), EventId("$elsewhere")]),
    mentions=st.sampled_from([frozenset(), frozenset({ME}), frozenset({ANNA, ADA})]),
    late_ms=st.sampled_from([0, 10 * 60_000, 2 * 3_600_000]),
)


@hypothesis_settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(ATTEMPTS, min_size=2, max_size=6), st.booleans())
async def test_nothing_that_a_stranger_does_changes_anything(
    front: Front, attempts: list[Incoming], has_power: bool
) -> None:
    # Power in the room makes nobody anybody.
    room = replace(KITCHEN, power=PowerNeeded(user=0) if has_power else PowerNeeded())
    front.settings = settings(room, GARDEN)
    front.members.states[ROOM] = powers({"users": dict.fromkeys([*STRANGERS, ANNA], 100)})
    before = await _world(front)

    await front.hear(*attempts)

    assert await _world(front) == before


async def test_those_who_may_are_heard_all_the_same(front: Front) -> None:
    before = await _world(front)

    await front.hear(typed("/approve"))

    assert await _world(front) != before
