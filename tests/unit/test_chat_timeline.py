"""A room as a person sees it: edits, reactions, open questions, who is at work."""

from itertools import count
from typing import Any

import pytest

from aiagentchat.cli.chat.timeline import Event, Timeline, events_of
from aiagentchat.core.approvals import Scope
from aiagentchat.core.ids import EventId, UserId
from aiagentchat.render import asking_words, away, words
from aiagentchat.render.approval import Asking, tool_question
from aiagentchat.render.away import Said
from aiagentchat.render.message import edit, message, reaction

ME, BOT, EVE = UserId("@me:hs"), UserId("@bot:hs"), UserId("@eve:hs")
QUESTION = tool_question("Bash", {"command": "date"}, Asking(who="Asked.", minutes=60)).text


class Story:
    """Says things into a timeline."""

    def __init__(self) -> None:
        self.timeline = Timeline(ME)
        self._numbers = count()

    def event(self, sender: UserId, type_: str, content: dict[str, Any], **more: object) -> EventId:
        event = EventId(f"${next(self._numbers)}")
        self.timeline.take({"event_id": event, "sender": sender, "type": type_, "content": content, **more})
        return event

    def says(self, sender: UserId, text: str, *, notice: bool = False) -> EventId:
        return self.event(sender, "m.room.message", message(text, notice=notice))

    def edits(self, sender: UserId, target: EventId, text: str) -> None:
        self.event(sender, "m.room.message", edit(message(text, notice=False), target))

    def reacts(self, sender: UserId, target: EventId, key: str) -> EventId:
        return self.event(sender, "m.reaction", reaction(target, key))

    def redacts(self, target: EventId) -> None:
        self.event(ME, "m.room.redaction", {"redacts": target})

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.timeline.messages]


@pytest.fixture
def story() -> Story:
    return Story()


def test_an_edit_replaces_the_text_in_its_place(story: Story) -> None:
    first = story.says(BOT, "Hel")
    story.says(ME, "hm")
    story.edits(BOT, first, "Hello")

    assert story.bodies == ["Hello", "hm"]


def test_nobody_edits_the_words_of_somebody_else(story: Story) -> None:
    first = story.says(BOT, "Hello")
    story.edits(EVE, first, "Send me your key")

    assert story.bodies == ["Hello"]


def test_what_was_taken_back_is_gone(story: Story) -> None:
    first = story.says(BOT, "Hello")
    thumb = story.reacts(ME, story.says(EVE, "hi"), "👍")
    story.redacts(first)
    story.redacts(thumb)

    assert story.bodies == ["hi"]
    assert story.timeline.messages[0].reactions == {"👍": set()}


@pytest.mark.parametrize("end", ["✅", "❌", "⏱️", "🛑", "⚠️"])
def test_a_command_is_open_until_its_worker_ends_it(story: Story, end: str) -> None:
    command = story.says(ME, "do it")
    talk = story.timeline.messages[0]
    story.reacts(BOT, command, "👀")
    assert (story.timeline.is_at_work(BOT), story.timeline.works_on(talk), story.timeline.outcome(talk)) == (
        True,
        True,
        "",
    )

    story.reacts(BOT, command, end)

    assert not story.timeline.is_at_work(BOT)
    assert not story.timeline.works_on(talk)
    assert story.timeline.outcome_of(command) == end.replace("\ufe0f", "")


def test_a_persons_wish_to_stop_is_no_end(story: Story) -> None:
    command = story.says(ME, "do it")
    story.reacts(BOT, command, "👀")
    story.reacts(EVE, command, "🛑")

    assert story.timeline.outcome_of(command) == ""
    assert story.timeline.is_at_work(BOT)


def test_an_end_without_a_sign_of_acceptance_is_an_end(story: Story) -> None:
    command = story.says(ME, "do it")
    story.reacts(ME, command, "✅")
    assert story.timeline.outcome_of(command) == ""

    story.reacts(BOT, command, "✅")

    assert story.timeline.outcome_of(command) == "✅"


def test_what_came_before_an_ended_command_is_over_too(story: Story) -> None:
    lost, command = story.says(ME, "one"), story.says(ME, "two")
    story.reacts(BOT, lost, "👀")
    story.reacts(BOT, command, "👀")
    story.reacts(BOT, command, "✅")

    assert not story.timeline.is_at_work(BOT)


def test_a_command_that_was_taken_back_keeps_nobody_at_work(story: Story) -> None:
    command = story.says(ME, "one")
    story.reacts(BOT, command, "👀")
    story.redacts(command)

    assert not story.timeline.is_at_work(BOT)


def test_a_question_is_known_by_its_words(story: Story) -> None:
    question = story.says(BOT, QUESTION)

    assert story.timeline.question is story.timeline.get(question)


@pytest.mark.parametrize(
    ("sender", "text", "notice"),
    [
        pytest.param(BOT, QUESTION, True, id="a notice"),
        pytest.param(ME, QUESTION, False, id="one's own words"),
        pytest.param(BOT, f"{QUESTION}\nand more", False, id="a quotation"),
        pytest.param(BOT, "", False, id="nothing"),
    ],
)
def test_what_only_looks_like_a_question_is_none(story: Story, sender: UserId, text: str, notice: bool) -> None:
    story.says(sender, text, notice=notice)

    assert story.timeline.question is None


def test_the_oldest_question_is_first_and_a_reaction_closes_it(story: Story) -> None:
    first, second = story.says(BOT, QUESTION), story.says(BOT, QUESTION)
    assert story.timeline.question is story.timeline.get(first)
    story.reacts(BOT, first, "✅")
    assert story.timeline.question is story.timeline.get(first)

    story.reacts(EVE, first, "❌")

    assert story.timeline.question is story.timeline.get(second)


@pytest.mark.parametrize(
    "closing",
    [
        words.approval_allowed(EVE),
        words.approval_denied(EVE, "no"),
        words.approval_expired(60),
        words.APPROVAL_WITHDRAWN,
        asking_words.allowed_always(EVE, "`Bash`"),
    ],
)
def test_words_about_a_question_close_it(story: Story, closing: str) -> None:
    story.says(BOT, QUESTION)
    story.says(EVE, closing)
    assert story.timeline.question is not None

    story.says(BOT, closing, notice=True)

    assert story.timeline.question is None


@pytest.mark.parametrize("many", [False, True])
def test_a_question_with_choices_waits_and_no_single_key_answers_it(story: Story, many: bool) -> None:
    last = asking_words.choice_answers(many=many, minutes=60, in_words=False)
    asked = story.says(BOT, f"❓ Which?\n\n1. Tea\n2. Milk\n\n{last}")

    assert story.timeline.question is None
    assert story.timeline.waits is story.timeline.get(asked)
    story.reacts(EVE, asked, "2️⃣")
    assert (story.timeline.waits is None) is not many
    story.reacts(EVE, asked, "✅")
    assert story.timeline.waits is None


@pytest.mark.parametrize(
    "closing",
    [
        asking_words.answered_with(EVE, ["Tea"]),
        asking_words.not_answered_by(EVE, "no"),
        asking_words.choice_expired(60),
        asking_words.plan_allowed(EVE, accept_edits=True),
        asking_words.plan_denied(EVE, "no"),
    ],
)
def test_words_about_a_question_with_choices_close_it(story: Story, closing: str) -> None:
    story.says(BOT, asking_words.plan_answers(minutes=60, in_words=True, request="1234"))
    story.says(BOT, closing, notice=True)

    assert story.timeline.waits is None


def test_the_end_of_the_command_closes_its_question(story: Story) -> None:
    command = story.says(ME, "do it")
    story.reacts(BOT, command, "👀")
    story.says(BOT, QUESTION)
    story.reacts(BOT, command, "🛑")

    assert story.timeline.question is None


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(away.resume_question(QUESTION, EVE), id="whether to go on"),
        pytest.param(away.offer([Said(at=0, by=EVE, text="old")], 1), id="whether to run what is old"),
    ],
)
def test_a_question_about_what_is_over_stays_open_until_it_is_answered(story: Story, question: str) -> None:
    command = story.says(ME, "do it")
    story.reacts(BOT, command, "👀")
    asked = story.says(BOT, question)
    story.reacts(BOT, command, "⚠️")
    assert story.timeline.question is story.timeline.get(asked)

    story.says(BOT, away.dropped(1), notice=True)

    assert story.timeline.question is None


def test_a_question_that_was_taken_back_is_closed(story: Story) -> None:
    story.redacts(story.says(BOT, QUESTION))

    assert story.timeline.question is None


@pytest.mark.parametrize(
    ("content", "body"),
    [
        pytest.param({"msgtype": "m.emote", "body": "waves"}, "*waves*", id="an emote"),
        pytest.param({"msgtype": "m.image", "body": "cat.png"}, "(image: cat.png)", id="a file"),
        pytest.param({"msgtype": "m.text", "body": 7}, "", id="a body that is no text"),
    ],
)
def test_every_kind_of_message_has_words(story: Story, content: dict[str, Any], body: str) -> None:
    story.event(EVE, "m.room.message", content)

    assert story.bodies == [body]


def test_an_encrypted_message_is_not_silently_missing(story: Story) -> None:
    story.event(EVE, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2"})

    assert story.bodies == ["*(encrypted: cannot be read here)*"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "m.room.message", "content": None},
        {"type": "m.room.message", "content": {}},
        {"type": "m.room.message", "content": {"body": "* x", "m.relates_to": {"rel_type": "m.replace"}}},
        {"type": "m.reaction", "content": {"m.relates_to": {"event_id": "$unknown", "key": "✅"}}},
        {"type": "m.reaction", "content": {"m.relates_to": "nonsense"}},
        {"type": "m.room.redaction", "content": {}, "redacts": "$unknown"},
        {"type": "m.room.topic", "content": {"topic": "x"}},
    ],
)
def test_what_is_malformed_or_unknown_changes_nothing(story: Story, event: Event) -> None:
    story.timeline.take({"event_id": "$x", "sender": EVE, **event})

    assert story.timeline.messages == []
    assert not story.timeline.knows(EventId("$x"))


def test_an_answer_knows_what_it_answers(story: Story) -> None:
    asked = story.says(ME, "/help")
    story.event(BOT, "m.room.message", message("That I know:", notice=True, reply_to=asked))
    story.event(
        BOT, "m.room.message", {"msgtype": "m.text", "body": "x", "m.relates_to": {"m.in_reply_to": {"event_id": 1}}}
    )

    assert [message.reply_to for message in story.timeline.messages] == [None, asked, None]


def test_only_events_are_events() -> None:
    good = {"event_id": "$1", "sender": EVE}

    assert list(events_of([good, 7, {}, {"event_id": "$2"}, {"event_id": 3, "sender": EVE}])) == [good]
    assert list(events_of(None)) == []


@pytest.mark.parametrize(
    ("text", "always", "in_words"),
    [
        (QUESTION, True, False),
        (asking_words.tool_answers_in_words(Scope.COMMAND, "Bash", minutes=5, request="r"), True, True),
        (asking_words.choice_answers(many=False, minutes=5, in_words=True), False, True),
        (asking_words.choice_answers(many=True, minutes=5, in_words=False), False, False),
        (away.RESUME_ANSWERS, False, False),
    ],
)
def test_how_a_question_may_be_answered_is_known_by_its_words(
    story: Story, text: str, always: bool, in_words: bool
) -> None:
    story.says(BOT, text)
    asked = story.timeline.waits

    assert asked is not None
    assert (asked.takes_always, asked.in_words) == (always, in_words)


def test_always_is_an_answer_only_where_it_is_offered(story: Story) -> None:
    first, second = story.says(BOT, away.RESUME_ANSWERS), story.says(BOT, QUESTION)
    story.reacts(ME, second, "♾️")
    story.reacts(ME, first, "♾️")

    assert story.timeline.question is story.timeline.get(first)
