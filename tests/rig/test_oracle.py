"""The oracle finds each kind of violation in a timeline made by hand, and none in a clean one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.render import words
from rig.conversation import Event
from rig.fake_cli import numbered_words
from rig.faults import run_log
from rig.faults.evidence import DONE
from rig.faults.oracle import SEALED, Violation, judge, judge_seals
from rig.faults.prompts import parse, prompt
from rig.faults.run_log import COMMIT_WITHIN, RunLog, Turn

BOT, ANNA, ROOM = "@bot:localhost", "@anna:localhost", "!room:localhost"
FOOTER = "— 0.4 s · 15 tokens · session 3f2a"
RESTARTED = "Interrupted by a restart after 3.0 s; what it did is unknown, and it was not run again."


class Timeline:
    """Events, one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, sender: str, content: Mapping[str, Any], kind: str = "m.room.message") -> str:
        event = f"${len(self.events)}"
        self.events.append({"event_id": event, "sender": sender, "type": kind, "content": content})
        return event

    def ask(self, name: str, count: int = 30) -> str:
        return self.add(ANNA, {"body": prompt(name, count)})

    def say(self, text: str, *, to: str = "", sender: str = BOT) -> str:
        relates = {"m.relates_to": {"m.in_reply_to": {"event_id": to}}} if to else {}
        return self.add(sender, {"body": text, **relates})

    def edit(self, event: str, text: str) -> None:
        relates = {"rel_type": "m.replace", "event_id": event}
        self.add(BOT, {"body": f"* {text}", "m.new_content": {"body": text}, "m.relates_to": relates})

    def mark(self, event: str, key: str = DONE) -> None:
        self.add(BOT, {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}}, "m.reaction")

    def answer(self, event: str, name: str, count: int = 30) -> None:
        self.say(whole(name, count), to=event)
        self.mark(event)

    def report(self, event: str, text: str = RESTARTED) -> None:
        self.say(text, to=event)
        self.mark(event, "⚠️")


def whole(name: str, count: int = 30) -> str:
    return f"{numbered_words(name, count)}\n\n{FOOTER}"


def ran(*names: str, ended: float | None = 2.0, **more: Any) -> RunLog:
    turns = [Turn(name=name, pid=7, begun=1.0, ended=ended, completed=ended is not None) for name in names]
    return RunLog(turns=turns, **more)


def found(timeline: Timeline, log: RunLog) -> list[Violation]:
    return judge(ROOM, timeline.events, BOT, log)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


# ── clean ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_that_grew_over_edits_and_pages_is_clean(timeline: Timeline) -> None:
    said = numbered_words("a0001", 60)
    half = len(said) // 2
    event = timeline.ask("a0001", 60)
    timeline.say("Queued: yours is next.", to=event)
    page = timeline.say(said[:20], to=event)
    timeline.edit(page, said[:half])
    timeline.say(said[half:])
    timeline.say(FOOTER)
    timeline.mark(event)

    assert found(timeline, ran("a0001")) == []


def test_an_answer_that_took_long_and_ends_with_a_message_of_its_own_is_clean(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(numbered_words("a0001", 30), to=event)
    timeline.say(f"{words.TURN_OVER}\n\n{FOOTER}", to=event)
    timeline.mark(event)

    assert found(timeline, ran("a0001")) == []


def test_a_beginning_and_a_report_are_clean(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(numbered_words("a0001", 30)[:109], to=event)
    timeline.report(event)

    assert found(timeline, ran("a0001", ended=None, deaths=[1.5])) == []


def test_a_report_of_what_never_began_and_a_refusal_are_clean(timeline: Timeline) -> None:
    reported, refused = timeline.ask("a0001"), timeline.ask("a0002")
    timeline.say(words.queue_full(20), to=refused)
    timeline.report(reported)

    assert found(timeline, RunLog()) == []


def test_a_failure_in_the_answer_is_a_report(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(f"{numbered_words('a0001', 12)}\n\n{words.AGENT_DIED}\n\n{FOOTER}", to=event)
    timeline.mark(event, "❌")

    assert found(timeline, ran("a0001", ended=None)) == []


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(ran("a0001", ended=None, deaths=[9.0]), id="the turn had not ended"),
        pytest.param(ran("a0001", ended=2.0, deaths=[2.0 + COMMIT_WITHIN / 2]), id="it died right behind the end"),
        pytest.param(ran("a0001", ended=2.0, deaths=[60.0], troubles=[(1.0, 50.0)]), id="it could not write"),
    ],
)
def test_all_of_the_text_and_a_report_are_right_when_the_end_could_not_be_known(
    timeline: Timeline, log: RunLog
) -> None:
    event = timeline.ask("a0001")
    timeline.say(numbered_words("a0001", 30), to=event)
    timeline.report(event)

    assert found(timeline, log) == []


# ── each violation ────────────────────────────────────────────────────────────────────────────────────────────────


def the_only(found: list[Violation]) -> Violation:
    assert len(found) == 1, found
    return found[0]


def check(found: list[Violation], letter: str, event: str, words: str) -> None:
    violation = the_only(found)
    assert (violation.invariant, violation.room, violation.event) == (letter, ROOM, event)
    assert words in violation.seen
    assert event in str(violation)


def test_no_answer_and_no_report_is_lost(timeline: Timeline) -> None:
    event = timeline.ask("a0001")

    check(found(timeline, RunLog()), "L", event, "its turn never began")


def test_all_of_the_text_without_an_end_is_lost(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(numbered_words("a0001", 30), to=event)

    check(found(timeline, ran("a0001")), "L", event, "30 of 30 words are there")


def test_a_turn_that_begins_twice_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.answer(event, "a0001")

    check(found(timeline, ran("a0001", "a0001")), "T", event, "began 2 times")


def test_a_turn_that_begins_again_because_somebody_asked_is_clean(timeline: Timeline) -> None:
    timeline.answer(timeline.ask("a0001"), "a0001")

    assert judge(ROOM, timeline.events, BOT, ran("a0001", "a0001"), asked_again={"a0001": 1}) == []


def test_an_answer_and_a_report_are_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(whole("a0001"), to=event)
    timeline.report(event)

    check(found(timeline, ran("a0001", ended=2.0, deaths=[2.1])), "R", event, "both answered and reported")


def test_a_report_about_a_turn_that_had_long_ended_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(numbered_words("a0001", 30), to=event)
    timeline.report(event)

    late = [2.0 + COMMIT_WITHIN + 1]
    check(found(timeline, ran("a0001", ended=2.0, deaths=late)), "R", event, "had ended well")


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        pytest.param("a0001-0001 a0001-0003", "missing 2", id="missing"),
        pytest.param("a0001-0001 a0001-0002 a0001-0002 a0001-0003", "doubled 2", id="doubled"),
        pytest.param("a0001-0001 a0001-0003 a0001-0002", "out of order", id="out of order"),
        pytest.param("a0001-0001 a0001-0002 strange a0001-0003", "3 of 3 words", id="something else in it"),
    ],
)
def test_an_answer_that_is_not_the_one_given_is_found(timeline: Timeline, said: str, seen: str) -> None:
    event = timeline.ask("a0001", 3)
    timeline.say(f"{said}\n\n{FOOTER}", to=event)
    timeline.mark(event)

    check(found(timeline, ran("a0001")), "R", event, seen)


def test_a_hole_before_a_report_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say("a0001-0001 a0001-0004", to=event)
    timeline.report(event)

    check(found(timeline, ran("a0001", ended=None)), "R", event, "no beginning")


def test_an_answer_that_nobody_gave_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.answer(event, "a0001")

    check(found(timeline, RunLog()), "R", event, "no turn of it ever began")


def test_two_reports_are_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.report(event)
    timeline.say(f"{RESTARTED} Really.", to=event)

    assert "was reported 2 times" in found(timeline, ran("a0001", ended=None))[0].seen


def test_the_same_text_twice_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    for _ in range(2):
        timeline.say("Queued: yours is next.", to=event)
    timeline.answer(event, "a0001")

    check(found(timeline, ran("a0001")), "R", event, "says again")


def test_a_notice_to_the_room_is_about_nothing(timeline: Timeline) -> None:
    timeline.say("I was away for a while.")
    timeline.answer(timeline.ask("a0001"), "a0001")

    assert found(timeline, ran("a0001")) == []


def test_an_answer_to_nothing_that_was_typed_here_is_found(timeline: Timeline) -> None:
    stray = timeline.say(whole("z0009"), to="$elsewhere")

    check(found(timeline, RunLog()), "R", stray, "nothing that was typed here")


def test_a_refused_message_that_runs_is_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(words.queue_full(20), to=event)

    check(found(timeline, ran("a0001")), "B", event, "was taken all the same")


def test_two_refusals_are_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    timeline.say(words.queue_full(20), to=event)
    timeline.say(words.queue_full(21), to=event)

    check(found(timeline, RunLog()), "R", event, "refused 2 times")


@pytest.mark.parametrize("marks", [["⚠️"], [DONE, "⚠️"]])
def test_a_mark_that_does_not_fit_is_found(timeline: Timeline, marks: list[str]) -> None:
    event = timeline.ask("a0001")
    timeline.say(whole("a0001"), to=event)
    for mark in marks:
        timeline.mark(event, mark)

    check(found(timeline, ran("a0001")), "R", event, "the marks on it")


def test_turns_out_of_order_are_found(timeline: Timeline) -> None:
    first, second = timeline.ask("a0001"), timeline.ask("a0002")
    timeline.answer(first, "a0001")
    timeline.answer(second, "a0002")

    check(found(timeline, ran("a0002", "a0001")), "T", first, "began after that of a0002")


def test_answers_out_of_order_are_found(timeline: Timeline) -> None:
    first, second = timeline.ask("a0001"), timeline.ask("a0002")
    timeline.answer(second, "a0002")
    timeline.answer(first, "a0001")

    check(found(timeline, ran("a0001", "a0002")), "R", second, "before all was said about a0001")


def test_words_behind_a_report_are_found(timeline: Timeline) -> None:
    event = timeline.ask("a0001")
    page = timeline.say("a0001-0001", to=event)
    timeline.report(event)
    timeline.edit(page, "a0001-0001 a0001-0002")

    check(found(timeline, ran("a0001", ended=None)), "R", event, "after it was reported")


# ── what it reads ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_prompt_says_what_the_answer_is() -> None:
    asked = parse(prompt("a0017", 2, chunk=5, delay=0.1, gate="/gate"))

    assert asked is not None
    assert (asked.name, asked.answer) == ("a0017", "a0017-0001 a0017-0002")
    assert parse("hello") is None


def test_the_run_log_tells_turns_deaths_and_troubles(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    assert run_log.read(file).turns == []
    asked = prompt("a0001", 3).replace('"', '\\"')
    file.write_text(
        f'{{"what": "begun", "command": "x", "pid": 7, "at": 1.0, "prompt": "{asked}"}}\n'
        '{"what": "ended", "command": "x", "pid": 7, "at": 2.0, "reason": "completed"}\n'
        f'{{"what": "begun", "command": "x", "pid": 8, "at": 3.0, "prompt": "{asked}"}}\n'
    )
    run_log.note_death(file)
    run_log.note_trouble(file, 5.0)
    log = run_log.read(file)

    assert log.of("a0001") == [
        Turn(name="a0001", pid=7, begun=1.0, ended=2.0, completed=True),
        Turn(name="a0001", pid=8, begun=3.0),
    ]
    assert (len(log.deaths), log.troubles[0][0]) == (1, 5.0)


def test_words_of_the_bot_in_the_clear_are_a_secret_told_and_sealed_ones_must_open() -> None:
    sent, read = Timeline(), Timeline()
    for timeline, open_one in ((sent, False), (read, True)):
        timeline.add(
            BOT, {"body": "hello"} if open_one else {"ciphertext": "a"}, "m.room.message" if open_one else SEALED
        )
        timeline.mark("$0")
        timeline.add(ANNA, {"ciphertext": "b"}, SEALED)
        timeline.add(BOT, {}, SEALED)  # redacted
        timeline.add(BOT, {"ciphertext": "c"}, SEALED)
        timeline.say("aloud")

    wrong = judge_seals(ROOM, sent.events, read.events, BOT)

    assert [(each.invariant, each.event) for each in wrong] == [("S", "$5"), ("R", "$4")]
