"""/queue, /now and what /stop says: what is shown, what is taken out, and what is given to the running turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind
from aiagentchat.core.commands import Command, CommandState, TurnTime
from aiagentchat.core.ids import ApprovalId, EventId
from aiagentchat.core.messages import Kind
from aiagentchat.core.parcels import REACTION
from aiagentchat.render import away, steering_words, words
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, ROOM, VERA, command, event, settings, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(max_queue=10)
        yield opened


async def told(front: Front, typed_text: str, **more: object) -> str:
    [said] = await front.told(typed(typed_text, **more))
    return said


async def given(front: Front, host: Command, text: str) -> Command:
    """A command that was given to the turn of `host`."""
    made = command(text, urgent=True)
    await front.accepted(made)
    assert await front.ledger.commands.give(made.event, host.event, front.clock.now_ms())
    return made


# ── /queue ──


async def test_an_empty_queue_says_so(front: Front) -> None:
    assert await told(front, "/queue", sender=VERA) == steering_words.QUEUE_EMPTY


async def test_the_queue_shows_what_runs_what_it_was_given_and_what_waits_in_places(front: Front) -> None:
    running = command("make the tests pass")
    await front.running(running)
    await given(front, running, "leave the docs alone")
    await front.accepted(command("then the docs"), command("and a release", sender=ADA))
    front.clock.advance(65.0)
    front.times[ROOM] = TurnTime(limit=300, elapsed=65.0, doing="▸ Bash: `make test`")

    assert await told(front, "/queue") == (
        "Runs for 1 min 05 s: `make the tests pass` of `@anna:hs`; last: ▸ Bash: `make test`\n"
        "- with it, by `/now`: `leave the docs alone` of `@anna:hs`\n\n"
        "Waiting:\n\n"
        "1. `then the docs` of `@anna:hs`, for 1 min 05 s\n"
        "2. `and a release` of `@ada:hs`, for 1 min 05 s\n\n"
        "`/queue drop 2` takes the second of what waits out, `/queue clear` all that is yours."
    )


async def test_between_two_turns_nothing_runs(front: Front) -> None:
    await front.accepted(command("then the docs"))

    assert (await told(front, "/queue")).startswith("Nothing runs.\n\nWaiting:\n\n1. `then the docs`")


async def test_what_runs_alone_is_shown_alone(front: Front) -> None:
    await front.running(command("make tea"))

    assert await told(front, "/queue") == "Runs for 0.0 s: `make tea` of `@anna:hs`\n\nNothing waits."


async def test_one_is_taken_out_by_its_place(front: Front) -> None:
    first, second = command("first"), command("second")
    await front.running(command())
    await front.accepted(first, second)

    assert await told(front, "/queue drop 2") == "Dropped, and not run: `second` of `@anna:hs`."
    assert await front.state(second.event) is CommandState.CANCELLED
    assert await front.state(first.event) is CommandState.QUEUED


async def test_what_is_taken_out_gets_its_mark(front: Front) -> None:
    waiting = command()
    await front.accepted(waiting)
    await front.hear(typed("/queue drop #1"))

    marks = [each for each in await front.deliver() if each.type == REACTION]
    assert [each.content["m.relates_to"]["event_id"] for each in marks] == [waiting.event]


@pytest.mark.parametrize(("place", "waiting"), [(0, 1), (2, 1), (1, 0), (3, 2)])
async def test_there_is_no_such_place(front: Front, place: int, waiting: int) -> None:
    await front.running(command())
    await front.accepted(*[command() for _ in range(waiting)])

    assert await told(front, f"/queue drop {place}") == steering_words.no_such_place(place, waiting)


async def test_what_others_sent_is_dropped_by_admins_only(front: Front) -> None:
    annas, adas = command("first"), command("second", sender=ADA)
    await front.accepted(annas, adas)

    assert await told(front, "/queue drop 2") == steering_words.not_yours_to_drop(ADA)
    assert await front.state(adas.event) is CommandState.QUEUED
    assert await told(front, "/queue drop 1", sender=ADA) == "Dropped, and not run: `first` of `@anna:hs`."


async def test_clear_takes_ones_own_and_an_admin_takes_all(front: Front) -> None:
    await front.running(command())
    await front.accepted(command(), command(), command(sender=ADA))

    assert await told(front, "/queue clear") == steering_words.cleared(2, 1)
    assert await told(front, "/queue clear") == steering_words.NOTHING_DROPPED
    await front.accepted(command())
    assert await told(front, "/queue clear", sender=ADA) == steering_words.cleared(2, 0)
    assert len(await front.ledger.commands.queue(ROOM)) == 1


@pytest.mark.parametrize("arguments", ["drop 1", "clear", "what"])
async def test_who_may_only_look_takes_nothing_out(front: Front, arguments: str) -> None:
    await front.accepted(command())

    assert await told(front, f"/queue {arguments}", sender=VERA) == words.VIEWER_MAY_NOT_RUN
    assert len(await front.ledger.commands.queue(ROOM)) == 1


async def test_what_is_not_understood_is_explained(front: Front) -> None:
    assert await told(front, "/queue drop it") == steering_words.QUEUE_USAGE


# ── /stop ──


async def test_stop_all_drops_what_waits_as_well(front: Front) -> None:
    running, waiting = command("make tea"), command()
    await front.running(running)
    await front.accepted(waiting, command(sender=ADA))

    assert await told(front, "/stop all") == (
        "Stopping `make tea` of `@anna:hs`, which has run for 0.0 s. 2 messages that waited are not run."
    )
    assert await front.ledger.commands.stop_requested(running.event) == ANNA
    assert await front.state(waiting.event) is CommandState.CANCELLED


@pytest.mark.parametrize("typed_text", ["/stop All", "!stop ALL"])
async def test_all_is_all_however_it_is_written(front: Front, typed_text: str) -> None:
    waiting = command()
    await front.running(command("make tea"))
    await front.accepted(waiting)
    await told(front, typed_text)

    assert await front.state(waiting.event) is CommandState.CANCELLED


async def test_stop_with_what_it_does_not_know_stops_what_runs_and_says_so(front: Front) -> None:
    running, waiting = command("make tea"), command()
    await front.running(running)
    await front.accepted(waiting)

    assert await told(front, "/stop everything") == (
        "Stopping `make tea` of `@anna:hs`, which has run for 0.0 s. 1 message still waits and runs next; `/stop` "
        "again ends that too. I do not know what `everything` behind `/stop` means, and did what `/stop` does alone; "
        "`/stop all` ends what waits as well."
    )
    assert await front.ledger.commands.stop_requested(running.event) == ANNA
    assert await front.state(waiting.event) is CommandState.QUEUED


async def test_stop_all_between_two_turns_drops_everything(front: Front) -> None:
    await front.accepted(command("make tea"), command())

    assert await told(front, "/stop all") == (
        "Nothing ran yet: `make tea` of `@anna:hs` was next, and is not run, nor 1 message that waited."
    )
    assert await front.ledger.commands.queue(ROOM) == []


async def test_stop_ends_the_turn_and_not_what_it_was_given_alone(front: Front) -> None:
    running = command("make tea")
    await front.running(running)
    more = await given(front, running, "with milk")

    assert await told(front, "/stop") == "Stopping `make tea` of `@anna:hs`, which has run for 0.0 s."
    assert await front.ledger.commands.stop_requested(running.event) == ANNA
    assert await front.ledger.commands.stop_requested(more.event) is None


async def test_a_stop_sign_on_what_was_given_to_a_turn_ends_the_turn(front: Front) -> None:
    running = command()
    await front.running(running)
    more = await given(front, running, "with milk")
    await front.hear(event(Kind.REACTION, "🛑", target=more.event))

    assert await front.ledger.commands.stop_requested(running.event) == ANNA


# ── /now ──


async def test_now_is_queued_before_all_that_waits(front: Front) -> None:
    await front.running(command())
    await front.accepted(command("later"))
    said = typed("/now use the  other branch", target=EventId("$answer"))
    await front.hear(said)

    _, urgent, later = await front.ledger.commands.queue(ROOM)
    assert (urgent.event, urgent.text, urgent.urgent) == (said.event, "use the  other branch", True)
    assert urgent.about == EventId("$answer")
    assert later.text == "later"


async def test_now_is_acknowledged_and_says_nothing_else(front: Front) -> None:
    await front.running(command())
    said = typed("!now use the other branch")
    await front.hear(said)

    [eyes] = await front.deliver()
    assert (eyes.type, eyes.content["m.relates_to"]["key"], eyes.command) == (REACTION, "👀", said.event)


async def test_now_is_a_message_like_any_other_where_nothing_runs(front: Front) -> None:
    await front.hear(typed("/now make tea"))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.text, queued.state) == ("make tea", CommandState.QUEUED)


@pytest.mark.parametrize("kind", [kind for kind in ApprovalKind if kind.in_turn])
async def test_now_says_that_a_question_is_answered_first(front: Front, kind: ApprovalKind) -> None:
    running = command()
    await front.running(running)
    approval = Approval(
        id=ApprovalId("a"),
        room=ROOM,
        command=running.event,
        tool="Bash",
        kind=kind,
        expires_at=front.clock.now_ms() + 60_000,
    )
    await front.ledger.approvals.ask(approval, [], front.clock.now_ms())

    assert await told(front, "/now use the other branch") == steering_words.NOW_AFTER_ANSWER


async def test_now_without_a_word_is_explained(front: Front) -> None:
    assert await told(front, "/now") == steering_words.NOW_USAGE


async def test_now_is_not_taken_when_the_queue_is_full(front: Front) -> None:
    front.settings = settings(max_queue=1)
    await front.running(command())

    assert await told(front, "/now more") == words.queue_full(1)
    assert len(await front.ledger.commands.queue(ROOM)) == 1


async def test_now_is_for_those_who_may_run_commands(front: Front) -> None:
    assert await told(front, "/now more", sender=VERA) == words.VIEWER_MAY_NOT_RUN


async def test_whoever_waits_is_told_the_place_behind_turns_not_behind_words(front: Front) -> None:
    running = command()
    await front.running(running)
    await given(front, running, "with milk")

    assert await told(front, "then coffee") == words.queue_place(1)


@pytest.mark.parametrize("changed", ["/now with lemon", "!now  with lemon", "with lemon"])
async def test_what_is_changed_before_it_is_given_keeps_its_manner(front: Front, changed: str) -> None:
    said = typed("/now with milk")
    await front.running(command())
    await front.hear(said, event(Kind.EDIT, changed, target=said.event))

    [urgent] = await front.ledger.commands.urgent(ROOM)
    assert urgent.text == "with lemon"


async def test_what_the_turn_was_given_is_not_changed_any_more(front: Front) -> None:
    running = command()
    await front.running(running)
    more = await given(front, running, "with milk")

    assert await front.told(event(Kind.EDIT, "/now with lemon", target=more.event)) == [away.EDIT_TOO_LATE]


async def test_taking_back_what_the_turn_was_given_ends_the_turn(front: Front) -> None:
    running = command()
    await front.running(running)
    more = await given(front, running, "with milk")
    await front.hear(event(Kind.REDACTION, target=more.event))

    assert await front.ledger.commands.stop_requested(running.event) == ANNA
    found = await front.ledger.commands.get(more.event)
    assert found is not None
    assert found.text == ""


async def test_taking_back_a_change_of_it_takes_it_back(front: Front) -> None:
    said = typed("/now with milk")
    change = event(Kind.EDIT, "/now with lemon", target=said.event)
    await front.running(command())
    await front.hear(said, change, event(Kind.REDACTION, target=change.event))

    assert await front.state(said.event) is CommandState.CANCELLED
