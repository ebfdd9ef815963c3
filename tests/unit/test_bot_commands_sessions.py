"""/sessions, /resume, /name and /new_session with a text; threads with conversations of their own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import EventId, SessionId
from aiagentchat.render import session_words, words
from aiagentchat.render.message import reaction
from aiagentchat.route.catch_up import OFFER_AFTER_MS
from tests.fakes.front import Front, open_front
from tests.fakes.people import GARDEN, KITCHEN, OTHER, ROOM, command, settings, typed

ROOT = EventId("$root")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def current(front: Front, thread: EventId | None = None) -> str:
    """The name of the conversation that the room, or the thread, is in."""
    session = await front.ledger.sessions.current(ROOM, thread)
    assert session is not None
    found = await front.ledger.sessions.get(session)
    return "" if found is None else found.name


async def begun(front: Front, *texts: str) -> None:
    """A conversation for each of these first messages, of which nobody is told."""
    for text in texts:
        await front.hear(typed("/new_session"), typed(text))
        for waiting in await front.ledger.commands.queue(ROOM):
            await front.ledger.commands.start(waiting.event, front.clock.now_ms())
            await front.ledger.commands.finish(waiting.event, CommandState.DONE, TurnRecord(), [], front.clock.now_ms())
        front.clock.advance(60)
    await front.deliver()


# ── the list ──


async def test_without_a_conversation_the_list_says_how_one_begins(front: Front) -> None:
    assert await front.told(typed("/sessions")) == [session_words.NO_SESSIONS]


async def test_the_list_has_the_last_ten_and_marks_the_one_we_are_in(front: Front) -> None:
    await begun(front, *[f"number {number}" for number in range(12)])
    await front.hear(typed("/resume number-5"))
    await front.deliver()
    [told] = await front.told(typed("/sessions"))

    rows = [line for line in told.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10
    assert rows[0] == "| `number-11` | 1 min ago | 1 |"
    assert [row for row in rows if "now" in row] == ["| **`number-5`** ← now | 7 min ago | 1 |"]


# ── the way back ──


async def test_resume_leads_what_comes_later_into_an_earlier_conversation(front: Front) -> None:
    await begun(front, "fix the build", "cook soup")
    [told] = await front.told(typed("/resume fix"))
    await front.hear(typed("and now"))

    assert told.startswith("We are back in `fix-the-build` (1 turn, last used 2 min ago).")
    [queued] = await front.ledger.commands.queue(ROOM)
    found = await front.ledger.sessions.get(queued.session)
    assert found is not None
    assert found.name == "fix-the-build"


async def test_what_waits_keeps_its_conversation_and_that_is_said(front: Front) -> None:
    await begun(front, "tea")
    await front.hear(typed("/new_session"), typed("soup"), typed("more soup"))
    await front.deliver()

    [told] = await front.told(typed("/resume tea"))
    assert "2 messages from before keep their session." in told
    assert len({each.session for each in await front.ledger.commands.queue(ROOM)}) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param("/resume", session_words.RESUME_USAGE, id="no name"),
        pytest.param("/resume soup", session_words.resumed_already("soup"), id="the one we are in"),
        pytest.param("/resume tee", session_words.no_such_session("tee", "tea"), id="a slip"),
        pytest.param("/resume zzz", session_words.no_such_session("zzz", ""), id="nothing like it"),
        pytest.param("/resume te", session_words.several_sessions("te", ["tea-2", "tea"]), id="the beginning of two"),
    ],
)
async def test_resume_says_what_it_does_not_find(front: Front, body: str, told: str) -> None:
    await begun(front, "tea", "tea", "soup")

    assert await front.told(typed(body)) == [told]
    assert await current(front) == "soup"


async def test_a_conversation_of_another_room_is_not_found(front: Front) -> None:
    await front.hear(typed("garden work", room=OTHER), typed("tea"))
    await front.deliver()

    assert await front.told(typed("/resume garden-work")) == [session_words.no_such_session("garden-work", "")]


# ── names ──


async def test_name_renames_the_conversation_we_are_in(front: Front) -> None:
    await begun(front, "tea")

    assert await front.told(typed("/name Login rework")) == [session_words.named("login-rework", "tea")]
    assert await current(front) == "login-rework"


async def test_a_conversation_can_be_named_before_anything_is_said(front: Front) -> None:
    assert await front.told(typed("/name login")) == [session_words.named("login", None)]
    await front.hear(typed("tea"))

    assert await current(front) == "login"


async def test_a_new_session_can_be_named_before_anything_is_said(front: Front) -> None:
    await begun(front, "tea")
    await front.hear(typed("/new_session"))
    await front.deliver()

    assert await front.told(typed("/name login")) == [session_words.named("login", None)]
    assert await current(front) == "login"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param("/name", session_words.NAME_USAGE, id="no name"),
        pytest.param("/name !!", session_words.not_a_name("!!"), id="nothing to read"),
        pytest.param("/name Tea", session_words.name_taken("tea"), id="the name of another"),
    ],
)
async def test_a_name_that_cannot_be_changes_nothing(front: Front, body: str, told: str) -> None:
    await begun(front, "tea", "soup")

    assert await front.told(typed(body)) == [told]
    assert await current(front) == "soup"


async def test_its_own_name_again_is_no_other(front: Front) -> None:
    await begun(front, "tea")

    assert await front.told(typed("/name tea")) == [session_words.named("tea", "tea")]


# ── a new session with a text ──


async def test_what_stands_behind_new_session_is_run_in_it(front: Front) -> None:
    await begun(front, "tea")
    said = typed("/new_session cook soup")
    await front.hear(said)

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text) == (said.event, "cook soup")
    assert queued.session == await front.ledger.sessions.current(ROOM)
    assert await current(front) == "cook-soup"
    told, seen = await front.deliver()
    assert seen.content == reaction(said.event, "👀")
    assert told.content["body"] == session_words.new_session("tea", is_asked=True)


async def test_behind_others_its_place_is_told(front: Front) -> None:
    await front.hear(typed("tea"))
    await front.deliver()

    assert words.queue_place(1) in await front.told(typed("/new_session soup"))


@pytest.mark.parametrize("body", ["/new_session soup", "/agent compact"])
async def test_what_was_typed_long_ago_is_not_run(front: Front, body: str) -> None:
    assert await front.told(typed(body, late_ms=OFFER_AFTER_MS)) == [session_words.TOO_LATE]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_where_the_queue_is_full_no_session_is_begun(front: Front) -> None:
    await front.hear(*[typed("tea") for _ in range(3)])
    await front.deliver()
    before = await front.ledger.sessions.current(ROOM)

    assert await front.told(typed("/new_session soup")) == [words.queue_full(3)]
    assert await front.ledger.sessions.current(ROOM) == before


async def test_what_waits_can_be_changed_with_or_without_the_command_before_it(front: Front) -> None:
    said = typed("/new_session cook soup")
    await front.hear(said)
    for body in ("/new_session  boil rice", "fry fish"):
        await front.hear(replace(typed(body), kind=typed("").kind.EDIT, target=said.event))
        [queued] = await front.ledger.commands.queue(ROOM)

        assert queued.text == body.removeprefix("/new_session").strip()


# ── threads ──


@pytest.mark.parametrize("scope", ["room", "thread"])
async def test_what_is_typed_in_a_thread_is_answered_there(front: Front, scope: str) -> None:
    front.settings = settings(replace(KITCHEN, session_scope=scope), GARDEN)
    await front.hear(typed("tea"), typed("soup", thread=ROOT), typed("/version", thread=ROOT))

    asked, in_thread = await front.ledger.commands.queue(ROOM)
    assert (asked.thread, in_thread.thread) == (None, ROOT)
    assert (asked.session == in_thread.session) is (scope == "room")
    parcels = await front.deliver()
    assert [parcel.thread for parcel in parcels if parcel.command == in_thread.event] == [ROOT, ROOT]
    assert parcels[-1].thread == ROOT


async def test_a_conversation_of_a_thread_begins_with_what_the_thread_is_about(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, session_scope="thread"), GARDEN)
    await front.hear(typed("soup", thread=ROOT), typed("rice", thread=ROOT), typed("tea", target=EventId("$other")))

    assert [each.about for each in await front.ledger.commands.queue(ROOM)] == [ROOT, None, "$other"]


async def test_each_thread_has_its_own_conversation_and_leaves_it_alone(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, session_scope="thread", name="kitchen"), GARDEN, max_queue=9)
    await front.hear(typed("tea"), typed("soup", thread=ROOT), typed("rice", thread=ROOT))
    await front.hear(typed("/name soup of the day", thread=ROOT), typed("/new_session", thread=ROOT))
    await front.hear(typed("fish", thread=ROOT), typed("more tea"))

    assert await current(front, ROOT) == "fish"
    assert await current(front) == "tea"
    await front.deliver()
    [told] = await front.told(typed("/resume soup", thread=ROOT))
    assert told.startswith("We are back in `soup-of-the-day`")
    assert await current(front, ROOT) == "soup-of-the-day"
    assert await current(front) == "tea"


async def test_status_names_the_conversation(front: Front) -> None:
    made = command(session=SessionId("abcdef"))
    await front.accepted(replace(made, own="compact"))
    [bare] = await front.told(typed("/status"))
    await front.hear(typed("/name login"))
    await front.deliver()
    [told] = await front.told(typed("/status"))

    assert "Session: `abcd`" in bare
    assert "Session: `login`" in told
