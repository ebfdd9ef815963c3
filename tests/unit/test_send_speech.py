"""A turn's words reach the outbox window by window, and nothing of them is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep
from aiagentchat.core.errors import StoreError
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId
from aiagentchat.core.meta import Meta, read_meta
from aiagentchat.core.parcels import Parcel, Urgency
from aiagentchat.core.showing import Form, Show, Showing
from aiagentchat.send.speech import EDITS_PER_WIDENING, END_WINDOW, FIRST_WINDOW, WINDOW, Speaker, Speech
from aiagentchat.store.ledger import Ledger
from tests.fakes.changes import PATIENCE, Changes
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.people import command
from tests.fakes.reader import bodies

COMMAND = command()
PLAN = "**Plan: 0 of 1 done**\n- [ ] Tea"


@dataclass(slots=True)
class Stage:
    """A speech that is being held, its clock and its outbox."""

    speech: Speech
    clock: FakeClock
    ledger: Ledger

    async def window(self) -> float:
        """Let the present window pass, and wait until its words are in the outbox; how long it was."""
        nap = await self.clock.pass_nap()
        assert await self.ledger.outbox.bell.wait(PATIENCE)
        return nap

    async def delivered(self) -> list[Parcel]:
        """Send what waits; what was sent."""
        parcels = []
        while (attempt := await self.ledger.outbox.claim(self.clock.now_ms(), device="HERE")) is not None:
            txn = attempt.parcel.txn
            await self.ledger.outbox.sent(txn, EventId(f"${txn}"), self.clock.now_ms())
            parcels.append(attempt.parcel)
        return parcels


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[None]:
    """The speech is served inside, and cancelled at the end."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(stage.speech.serve())
        yield
        task.cancel()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        clock = FakeClock()
        yield Stage(Speaker(outbox=ledger.outbox, clock=clock).open(COMMAND), clock, ledger)


async def test_the_first_words_are_said_almost_at_once(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("Hel")
        stage.speech.add("lo")

        assert await stage.window() == FIRST_WINDOW
        assert bodies(await stage.delivered()) == ["Hello"]
    assert FIRST_WINDOW < 0.1


async def test_a_whole_block_waits_a_moment_for_the_end_of_the_turn(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("All there is.")
        stage.speech.block_ended()
        assert await stage.clock.pass_nap() == FIRST_WINDOW
        assert await stage.window() == END_WINDOW

    assert bodies(await stage.delivered()) == ["All there is."]


async def test_later_words_are_said_in_windows(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("one")
        await stage.window()
        stage.speech.add(" two")
        assert await stage.window() == pytest.approx(WINDOW)
        stage.speech.add(" three")
        assert await stage.window() == pytest.approx(WINDOW)

    assert bodies(await stage.delivered()) == ["one two three"]


async def test_words_after_a_pause_do_not_wait_for_a_window(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("one")
        await stage.window()
        stage.clock.advance(WINDOW - 0.5)
        stage.speech.add(" two")
        assert await stage.window() == pytest.approx(0.5)
        stage.clock.advance(60)
        stage.speech.add(" three")
        assert await stage.ledger.outbox.bell.wait(PATIENCE)

    assert bodies(await stage.delivered()) == ["one two three"]


async def test_windows_widen_with_the_edits_of_a_message(stage: Stage) -> None:
    windows = []
    async with serving(stage):
        for number in range(2 * EDITS_PER_WIDENING + 2):
            stage.speech.add(f"{number} ")
            windows.append(await stage.window())

    assert windows[1 : EDITS_PER_WIDENING + 1] == pytest.approx([WINDOW] * EDITS_PER_WIDENING)
    assert windows[EDITS_PER_WIDENING + 1 : -1] == pytest.approx([2 * WINDOW] * EDITS_PER_WIDENING)
    assert windows[-1] == pytest.approx(3 * WINDOW)


async def test_tools_and_retractions_are_news(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.tool("▸ Read")
        await stage.clock.pass_nap()
        await stage.window()
        stage.speech.add("cut o")
        await stage.window()
        stage.speech.retract()
        await stage.window()

    assert bodies(await stage.delivered()) == ["▸ Read"]


async def test_what_goes_on_meanwhile_is_news(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.tool("▸ Read")
        await stage.clock.pass_nap()
        await stage.window()
        stage.speech.progress("⏳ Still working.")
        await stage.window()

    assert bodies(await stage.delivered()) == ["▸ Read\n\n⏳ Still working."]


async def test_what_is_final_is_not_taken_back(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("one")
        stage.speech.block_ended()
        await stage.clock.pass_nap()
        await stage.window()
        stage.speech.retract()
        stage.speech.add("two")
        await stage.window()

    assert bodies(await stage.delivered()) == ["one\n\ntwo"]


async def test_a_window_in_which_nothing_changed_writes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    flush, put = stage.speech._answer.flush, stage.ledger.outbox.put
    windows: list[int] = []
    written: list[list[str]] = []
    looked = Changes()

    def noted_flush() -> list[Parcel]:
        parcels = flush()
        windows.append(len(parcels))
        looked.tell()
        return parcels

    async def noted_put(parcels: Sequence[Parcel], now: int) -> None:
        written.append([parcel.content["body"] for parcel in parcels])
        await put(parcels, now)

    monkeypatch.setattr(stage.speech._answer, "flush", noted_flush)
    monkeypatch.setattr(stage.ledger.outbox, "put", noted_put)
    async with serving(stage):
        stage.speech.add("one")
        await stage.window()
        stage.speech.block_ended()
        stage.speech.retract()
        await stage.clock.pass_nap()
        await looked.until(lambda: len(windows) == 2)
        stage.speech.add("two")
        assert await stage.ledger.outbox.bell.wait(PATIENCE)

    assert windows == [1, 0, 1]
    assert written == [["one"], ["one\n\ntwo"]]


async def test_a_speech_knows_whether_it_was_silent(stage: Stage) -> None:
    assert stage.speech.silent
    stage.speech.add("one")

    assert not stage.speech.silent


async def test_what_was_not_said_yet_comes_with_the_end(stage: Stage) -> None:
    stage.speech.add("one")

    assert bodies(stage.speech.close("Stopped.", "— 0.4 s")) == ["one\n\nStopped.\n\n— 0.4 s"]


async def test_what_was_not_said_yet_comes_with_a_break(stage: Stage) -> None:
    stage.speech.add("May I?")
    before = stage.speech.break_off()
    stage.speech.add("Thanks.")

    assert bodies(before) == ["May I?"]
    assert bodies([*before, *stage.speech.close("", "— 0.4 s")]) == ["May I?", "Thanks.\n\n— 0.4 s"]


async def test_a_turn_that_ends_in_the_middle_of_a_write_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def never(parcels: Sequence[Parcel], now: int) -> None:  # noqa: ARG001
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stage.ledger.outbox, "put", never)
    async with serving(stage):
        stage.speech.add("one")
        await stage.clock.pass_nap()
        await reached.wait()
    stage.speech.add(" two")

    assert bodies(stage.speech.close("", "— 0.4 s")) == ["one two\n\n— 0.4 s"]


@pytest.mark.parametrize("end", ["close", "break_off"])
async def test_a_write_that_took_although_it_was_cut_off_says_nothing_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    put, reached = stage.ledger.outbox.put, asyncio.Event()

    async def put_and_hang(parcels: Sequence[Parcel], now: int) -> None:
        await put(parcels, now)
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stage.ledger.outbox, "put", put_and_hang)
    async with serving(stage):
        stage.speech.add("one")
        await stage.clock.pass_nap()
        await reached.wait()
    first = await stage.delivered()
    rest = {"close": lambda: stage.speech.close("", "— 0.4 s"), "break_off": stage.speech.break_off}[end]()
    await put(rest, stage.clock.now_ms())

    every = [*first, *await stage.delivered()]
    assert len({parcel.txn for parcel in every}) == len(every)
    assert [body.partition("\n")[0] for body in bodies(every)] == ["one"]


async def test_what_a_break_takes_out_while_the_ledger_waits_is_written_as_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, reached, writable = stage.ledger.outbox.put, asyncio.Event(), asyncio.Event()

    async def put_slowly(parcels: Sequence[Parcel], now: int) -> None:
        reached.set()
        await writable.wait()
        await put(parcels, now)

    monkeypatch.setattr(stage.ledger.outbox, "put", put_slowly)
    async with serving(stage):
        stage.speech.add("one")
        await stage.clock.pass_nap()
        await reached.wait()
        stage.speech.add(" and May I?")
        # Whoever was to write these is cancelled before it could.
        assert bodies(stage.speech.break_off()) == ["one and May I?"]
        stage.speech.add("Thanks.")
        writable.set()
        assert await stage.ledger.outbox.bell.wait(PATIENCE)
        await stage.window()
        assert bodies(await stage.delivered()) == ["one and May I?", "Thanks."]


async def test_what_a_break_took_out_comes_with_the_end_when_nobody_wrote_it(stage: Stage) -> None:
    stage.speech.add("May I?")
    stage.speech.break_off()

    assert bodies(stage.speech.close("Stopped.", "— 0.4 s")) == ["May I?", "Stopped.\n\n— 0.4 s"]


async def test_states_are_progress_and_ends_are_needed(stage: Stage) -> None:
    async with serving(stage):
        stage.speech.add("one")
        await stage.window()
        [state] = await stage.delivered()
        stage.speech.add(" two")
        question = stage.speech.break_off()
        stage.speech.add("three")
        end = stage.speech.close("", "— 0.4 s")

    assert state.urgency is Urgency.PROGRESS
    assert [parcel.urgency for parcel in (*question, *end)] == [Urgency.NEEDED] * 3
    assert question[0].txn == end[0].txn


async def test_a_ledger_that_fails_ends_the_speech_and_keeps_the_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(stage.ledger.outbox, "put", full)
    stage.speech.add("one")
    with pytest.raises(StoreError):
        await asyncio.wait_for(asyncio.gather(stage.speech.serve(), stage.clock.pass_nap()), PATIENCE)

    assert bodies(stage.speech.close("", "— 0.4 s")) == ["one\n\n— 0.4 s"]


# ── as the room wants it ──────────────────────────────────────────────────────────────────────────────────────────


def _speech(stage: Stage, showing: Showing) -> Speech:
    return Speaker(outbox=stage.ledger.outbox, clock=stage.clock, showing=lambda _: showing).open(COMMAND)


def _mentions(parcels: Sequence[Parcel]) -> list[object]:
    return [parcel.content["m.mentions"].get("user_ids") for parcel in parcels]


@pytest.mark.parametrize(
    ("show", "body"),
    [
        (Show.NONE, "one\n\ntwo"),
        (Show.TOOLS, f"one\n\n▸ Read\n\ntwo\n\n{PLAN}"),
        (Show.THINKING, f"one\n\n> 💭 hm\n\n▸ Read\n\ntwo\n\n{PLAN}"),
    ],
)
@pytest.mark.parametrize("form", list(Form))
async def test_what_stands_beside_the_words_is_what_the_room_wants_to_see(
    stage: Stage, form: Form, show: Show, body: str
) -> None:
    speech = _speech(stage, Showing(form=form, show=show))
    speech.add("one")
    speech.think("hm")
    speech.tool("▸ Read")
    speech.add("two")
    speech.block_ended()
    speech.plan(PlanChanged((PlanStep("Tea", PlanState.TODO),)))

    assert bodies(speech.close("", "")) == [body]


@pytest.mark.parametrize("form", list(Form))
async def test_whoever_waited_for_long_is_mentioned_in_a_new_message(stage: Stage, form: Form) -> None:
    stage.speech = _speech(stage, Showing(form=form))
    async with serving(stage):
        stage.speech.add("one. two")
        await stage.window()
        stage.clock.advance(30)
        end = stage.speech.close("", "— 30.0 s")

    assert end[-1].edits is None
    assert end[-1].content["msgtype"] == "m.text"
    assert _mentions(end) == [*[None] * (len(end) - 1), [COMMAND.sender]]
    assert end[-1].content["m.relates_to"] == {"m.in_reply_to": {"event_id": COMMAND.event}}


@pytest.mark.parametrize(("notify_after", "seconds"), [(30, 29.9), (0, 10_000.0)])
async def test_who_did_not_wait_for_long_is_not_mentioned(stage: Stage, notify_after: int, seconds: float) -> None:
    speech = _speech(stage, Showing(notify_after=notify_after))
    speech.add("one")
    stage.clock.advance(seconds)

    assert _mentions(speech.close("", "— 29.9 s")) == [None]


async def test_in_messages_of_their_own_words_wait_for_the_end_of_a_sentence(stage: Stage) -> None:
    stage.speech = _speech(stage, Showing(form=Form.APPEND))
    async with serving(stage):
        stage.speech.add("One. Two")
        await stage.window()
        stage.speech.block_ended()
        assert await stage.window() == pytest.approx(WINDOW)
        stage.speech.add("Three.")
        end = stage.speech.close("", "— 0.4 s")

    sent = await stage.delivered()
    assert bodies([*sent, *end]) == ["One.", "Two", "Three.\n\n— 0.4 s"]


@pytest.mark.parametrize("more", [{"meta": Meta(id=MessageId("m1"))}, {"caller": CallerName("ci")}])
async def test_a_long_turn_rings_nobody_where_nobody_has_a_phone(stage: Stage, more: dict[str, Any]) -> None:
    speech = Speaker(outbox=stage.ledger.outbox, clock=stage.clock).open(command(**more))
    speech.add("Tea is ready.")
    stage.clock.advance(3600)

    [parcel] = speech.close("", "— 1 h")
    assert parcel.content["m.mentions"] == {}


async def test_an_answer_to_an_agent_says_which_instance_answers(stage: Stage) -> None:
    asked = command(meta=Meta(id=MessageId("m1")))
    speaker = Speaker(outbox=stage.ledger.outbox, clock=stage.clock, instance=InstanceName("attic"))
    speech = speaker.open(asked)
    speech.add("Tea is ready.")

    [parcel] = speech.close("", "— 1 s")
    meta = read_meta(parcel.content)
    assert isinstance(meta, Meta)
    assert (meta.instance, meta.in_reply_to, meta.last) == ("attic", "m1", True)
