"""What a message means: each row is a sentence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.files import MediaFile
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.route.access import Role, role_of
from aiagentchat.route.decide import (
    AnswerApproval,
    AnswerInWords,
    Ask,
    CameIn,
    ChangeQueued,
    Decision,
    ForgetTarget,
    Ignore,
    NotHeard,
    Refuse,
    RefuseToRun,
    Removed,
    RoomReplaced,
    RunBotCommand,
    StopTarget,
    TakeBack,
    TakeFile,
    TakeNote,
    UnknownBotCommand,
    Unreadable,
    decide,
    is_addressed,
)
from tests.fakes.people import ADA, ANNA, EVE, KITCHEN, ME, VERA, event, typed

KNOWN = ("help", "stop", "status", "new_session", "approve", "deny", "version")
TARGET = EventId("$target")
PLAN = MediaFile(name="plan.pdf", url="mxc://hs/plan")
MENTION_ONLY = replace(KITCHEN, mention_only=True)


def meaning(said: Incoming, *, mention_only: bool = False, custom: tuple[str, ...] = ()) -> Decision:
    room = replace(KITCHEN, mention_only=mention_only)
    return decide(said, room, role=role_of(said.sender, room), me=ME, known=KNOWN, custom=custom)


CUSTOM = ("fix-issue", "deploy", "stop")


@pytest.mark.parametrize("mention_only", [False, True])
@pytest.mark.parametrize("body", ["/fix-issue 12", "!deploy", "/deploy\nnow"])
def test_a_command_of_the_project_is_for_the_agent_and_speaks_to_it(body: str, mention_only: bool) -> None:
    assert meaning(typed(body), custom=CUSTOM, mention_only=mention_only) == Ask(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("/stop", RunBotCommand("stop", ""), id="a bot command comes before a file of its name"),
        pytest.param("/deplyo", UnknownBotCommand("deplyo", "deploy"), id="a slip gets the nearest of both"),
        pytest.param("!deplyo", UnknownBotCommand("deplyo", "deploy"), id="with either sign"),
        pytest.param("/fix-isue", Ask("/fix-isue"), id="what cannot be a bot command is text, as it was"),
    ],
)
def test_names_of_the_project_come_after_those_of_the_daemon(body: str, expected: Decision) -> None:
    assert meaning(typed(body), custom=CUSTOM) == expected


def test_a_viewer_runs_no_command_of_the_project() -> None:
    assert meaning(typed("/deploy", sender=VERA), custom=CUSTOM) == RefuseToRun()


@pytest.mark.parametrize("sender", [ANNA, VERA])
@pytest.mark.parametrize("body", ["[STATUS] half done", "[answer]: 42", "[STATUS]"])
def test_news_and_answers_that_a_person_types_begin_nothing(body: str, sender: UserId) -> None:
    assert meaning(typed(body, sender=sender)) == TakeNote()


def test_news_to_others_in_a_room_of_people_are_not_heard() -> None:
    assert meaning(typed("[STATUS] half done"), mention_only=True) == Ignore("not addressed")
    assert meaning(typed("[STATUS] claude: half done"), mention_only=True) == TakeNote()
    assert isinstance(meaning(typed("[STATUS] half done", sender=EVE)), Ignore)


@pytest.mark.parametrize("body", ["[TASK] clean up", "[QUESTION] is it clean?"])
def test_what_a_person_asks_for_with_a_prefix_is_asked(body: str) -> None:
    assert meaning(typed(body)) == Ask(body)


def test_a_file_with_news_waits_for_what_its_sender_says_next() -> None:
    assert meaning(event(Kind.FILE, "[STATUS] half done", file=PLAN)) == TakeFile(PLAN, None)
    assert meaning(event(Kind.FILE, "[STATUS] half done", sender=VERA, file=PLAN)) == RefuseToRun()
    addressed = event(Kind.FILE, "[STATUS] claude: half done", file=PLAN)
    assert meaning(addressed, mention_only=True) == TakeFile(PLAN, None)


def test_an_answer_with_its_prefix_may_answer_a_question() -> None:
    assert meaning(typed("[ANSWER] yes", target=TARGET)) == AnswerInWords(TARGET, "yes", TakeNote())
    assert meaning(typed("[STATUS] yes", target=TARGET)) == AnswerInWords(TARGET, "[STATUS] yes", TakeNote())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("fix the build", id="words"),
        pytest.param("@/etc/passwd", id="what the CLI would take for a file"),
        pytest.param("@bob:hs hello", id="a mention of somebody else"),
        pytest.param("/usr/bin is full", id="a path"),
        pytest.param("!important", id="how people write"),
        pytest.param("!important thing", id="how people write, with more"),
        pytest.param("//text", id="two slashes"),
        pytest.param("//help", id="two slashes before a known name"),
        pytest.param("/", id="a lone slash"),
        pytest.param("!", id="a lone exclamation mark"),
        pytest.param("!!", id="two exclamation marks"),
        pytest.param("! help", id="a space behind the sign"),
        pytest.param("/HELP", id="capitals"),
        pytest.param("/Help", id="a capital"),
        pytest.param("/help?", id="a question mark behind the name"),
        pytest.param("/cost?", id="a question mark behind an unknown name"),
        pytest.param("/stop-now", id="a hyphen in the name"),
        pytest.param("/stop2", id="a digit in the name"),
        pytest.param(" /help", id="a space before the sign"),
        pytest.param("\n/help", id="a line before the sign"),
        pytest.param("please /stop", id="a name in the middle"),
        pytest.param("--version", id="what the CLI would take for an option"),
        pytest.param("/größe", id="letters beyond a to z"),
        pytest.param("/_x\u200b", id="an invisible character behind the name"),
    ],
)
def test_text_reaches_the_agent_as_it_was_typed(body: str) -> None:
    assert meaning(typed(body)) == Ask(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("/help", RunBotCommand("help", ""), id="a known name"),
        pytest.param("!help", RunBotCommand("help", ""), id="an exclamation mark works as well"),
        pytest.param("/stop now", RunBotCommand("stop", "now"), id="arguments"),
        pytest.param("/deny  because of \n  that ", RunBotCommand("deny", "because of \n  that"), id="long arguments"),
        pytest.param("/deny\nbecause", RunBotCommand("deny", "because"), id="a line end behind the name"),
        pytest.param("/help\n", RunBotCommand("help", ""), id="a line end and nothing more"),
        pytest.param("/help\t", RunBotCommand("help", ""), id="a tab"),
        pytest.param("/new_session", RunBotCommand("new_session", ""), id="an underscore"),
        pytest.param("/stopp", UnknownBotCommand("stopp", "stop"), id="a slip, with the nearest name"),
        pytest.param("!stopp", UnknownBotCommand("stopp", "stop"), id="the same slip with an exclamation mark"),
        pytest.param("/sto", UnknownBotCommand("sto", "stop"), id="a beginning is not enough"),
        pytest.param("/xyzzy", UnknownBotCommand("xyzzy", None), id="nothing is near"),
        pytest.param("/xyzzy plugh", UnknownBotCommand("xyzzy", None), id="nothing is near, with arguments"),
        pytest.param("/_", UnknownBotCommand("_", None), id="a name of an underscore"),
    ],
)
def test_a_bot_command_stands_at_the_start_and_ends_at_a_space(body: str, expected: Decision) -> None:
    assert meaning(typed(body)) == expected


@pytest.mark.parametrize("body", ["", " ", "\n\t ", "\u3000"])
def test_a_message_without_a_word_starts_nothing(body: str) -> None:
    assert meaning(typed(body)) == Ignore("no text")


@pytest.mark.parametrize(
    ("sender", "body", "expected"),
    [
        pytest.param(ADA, "fix it", Ask("fix it"), id="an admin asks"),
        pytest.param(ANNA, "fix it", Ask("fix it"), id="a user asks"),
        pytest.param(VERA, "fix it", RefuseToRun(), id="a viewer may not ask"),
        pytest.param(VERA, "/stop", RunBotCommand("stop", ""), id="what a viewer may type is decided by the command"),
        pytest.param(VERA, "/stopp", UnknownBotCommand("stopp", "stop"), id="a viewer slips"),
        pytest.param(VERA, " ", Ignore("no text"), id="a viewer says nothing"),
        pytest.param(EVE, "fix it", Ignore("the sender is not allowed", "message"), id="a stranger talks to others"),
        pytest.param(EVE, "/stop", Refuse(), id="a stranger tries a command"),
        pytest.param(EVE, "/stopp", Refuse(), id="a stranger slips"),
        pytest.param(EVE, "claude: fix it", Refuse(), id="a stranger talks to us"),
        pytest.param(
            EVE, "!important", Ignore("the sender is not allowed", "message"), id="a stranger shouts at others"
        ),
        pytest.param(UserId("@anna:hs2"), "@claude:hs fix it", Refuse(), id="a namesake of a user is a stranger"),
    ],
)
def test_the_role_of_the_sender_decides(sender: UserId, body: str, expected: Decision) -> None:
    assert meaning(typed(body, sender=sender)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(typed("fix it"), Ignore("not addressed"), id="talk among people"),
        pytest.param(typed("fix it", mentions=frozenset({ME})), Ask("fix it"), id="a mention"),
        pytest.param(typed("fix it", mentions=frozenset({ADA})), Ignore("not addressed"), id="a mention of another"),
        pytest.param(typed("claude: fix it"), Ask("claude: fix it"), id="our name"),
        pytest.param(typed("/status"), RunBotCommand("status", ""), id="a bot command"),
        pytest.param(typed("/statsu"), UnknownBotCommand("statsu", "status"), id="a slip"),
        pytest.param(typed("!important"), Ignore("not addressed"), id="no bot command"),
        pytest.param(typed("claude: fix it", sender=VERA), RefuseToRun(), id="a viewer"),
        pytest.param(typed("fix it", sender=VERA), Ignore("not addressed"), id="a viewer who talks to others"),
        pytest.param(event(Kind.FILE, file=PLAN), Ignore("not addressed"), id="a file"),
        pytest.param(event(Kind.FILE, "look", file=PLAN), Ignore("not addressed"), id="a file with a caption"),
        pytest.param(
            event(Kind.FILE, file=PLAN, mentions=frozenset({ME})), TakeFile(PLAN, None), id="a file and a mention"
        ),
        pytest.param(
            event(Kind.FILE, "claude: look", file=PLAN),
            TakeFile(PLAN, Ask("claude: look")),
            id="a file whose caption speaks to us",
        ),
    ],
)
def test_among_many_we_wait_to_be_addressed(said: Incoming, expected: Decision) -> None:
    assert meaning(said, mention_only=True) == expected


@pytest.mark.parametrize(
    ("body", "addressed"),
    [
        pytest.param("claude: hello", True, id="name and colon"),
        pytest.param("Claude: hello", True, id="in capitals"),
        pytest.param("@claude hello", True, id="at and name"),
        pytest.param("@claude, hello", True, id="at, name and comma"),
        pytest.param("@claude: hello", True, id="at, name and colon"),
        pytest.param("@claude", True, id="nothing but our name"),
        pytest.param("hello @claude:hs", True, id="our id at the end"),
        pytest.param("ask @claude:hs. Or not", True, id="our id and a full stop"),
        pytest.param("[Claude](https://matrix.to/#/@claude:hs) hello", True, id="a pill"),
        pytest.param("claude is great", False, id="talk about us"),
        pytest.param("I asked claude: no", False, id="our name in the middle"),
        pytest.param("@claudette hello", False, id="somebody whose name starts as ours"),
        pytest.param("claudette: hello", False, id="the same with a colon"),
        pytest.param("@claude:elsewhere hello", False, id="our namesake on another server"),
        pytest.param("hello @claude:hs.example", False, id="our namesake on a longer server"),
        pytest.param("hello @claude:hs:8448", False, id="our namesake on another port"),
        pytest.param("mail@claude:hs", False, id="an id inside a word"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_whoever_says_our_name_speaks_to_us(body: str, addressed: bool) -> None:
    assert is_addressed(typed(body), ME) is addressed


@pytest.mark.parametrize("name", ["c.laude", "c+laude", "c*"])
def test_a_name_is_taken_literally(name: str) -> None:
    me = UserId(f"@{name}:hs")

    assert is_addressed(typed(f"{name}: hello"), me)
    assert not is_addressed(typed("cxlaude: hello"), me)


def reacted(key: str, **more: Any) -> Incoming:
    return event(Kind.REACTION, key, **{"target": TARGET, **more})


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param("✅", AnswerApproval(TARGET, "✅"), id="yes"),
        pytest.param("☑️", AnswerApproval(TARGET, "☑"), id="yes with a variation selector"),
        pytest.param("☑", AnswerApproval(TARGET, "☑"), id="yes without one"),
        pytest.param("✔️", AnswerApproval(TARGET, "✔"), id="a check mark"),
        pytest.param("👍", AnswerApproval(TARGET, "👍"), id="thumb up"),
        pytest.param("👍🏽", AnswerApproval(TARGET, "👍"), id="thumb up, brown"),
        pytest.param("👍️", AnswerApproval(TARGET, "👍"), id="thumb up with a variation selector"),
        pytest.param("❌", AnswerApproval(TARGET, "❌"), id="no"),
        pytest.param("✖️", AnswerApproval(TARGET, "✖"), id="a cross"),
        pytest.param("👎🏿", AnswerApproval(TARGET, "👎"), id="thumb down, black"),
        pytest.param("♾️", AnswerApproval(TARGET, "♾"), id="always"),
        pytest.param("3\ufe0f\u20e3", AnswerApproval(TARGET, "3\u20e3"), id="a number"),
        pytest.param("🛑", StopTarget(TARGET), id="stop"),
        pytest.param("🛑️", StopTarget(TARGET), id="stop with a variation selector"),
        pytest.param("🗑", ForgetTarget(TARGET, is_admin=False), id="forget"),
        pytest.param("🗑️", ForgetTarget(TARGET, is_admin=False), id="forget with a variation selector"),
        pytest.param("🎉", Ignore("a reaction that means nothing here"), id="joy"),
        pytest.param("✅✅", Ignore("a reaction that means nothing here"), id="yes twice"),
        pytest.param("yes", Ignore("a reaction that means nothing here"), id="a word"),
        pytest.param("", Ignore("a reaction that means nothing here"), id="nothing"),
        pytest.param("\ufe0f", Ignore("a reaction that means nothing here"), id="a bare variation selector"),
    ],
)
def test_a_reaction_means_what_it_shows(key: str, expected: Decision) -> None:
    assert meaning(reacted(key)) == expected


@pytest.mark.parametrize("modifier", ["\ufe00", "\ufe0f", "\U0001f3fb", "\U0001f3ff"])
def test_how_a_reaction_looks_makes_no_difference(modifier: str) -> None:
    assert meaning(reacted(f"👍{modifier}")) == AnswerApproval(TARGET, "👍")


@pytest.mark.parametrize("neighbour", ["\ufdff", "\ufe10", "\U0001f3fa", "\U0001f400"])
def test_what_is_more_than_a_look_makes_a_difference(neighbour: str) -> None:
    assert meaning(reacted(f"👍{neighbour}")) == Ignore("a reaction that means nothing here")


@pytest.mark.parametrize("sender", [VERA, EVE])
@pytest.mark.parametrize("key", ["✅", "❌", "🛑", "🗑️"])
def test_only_those_who_may_run_something_may_react_to_it(sender: UserId, key: str) -> None:
    assert meaning(reacted(key, sender=sender)) == Ignore("a reaction of somebody who may not run anything", "reaction")


def test_a_reaction_needs_no_address() -> None:
    assert meaning(reacted("🛑"), mention_only=True) == StopTarget(TARGET)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            event(Kind.NOTICE, "/help"), Ignore("what is a notice is never answered", "notice"), id="a notice"
        ),
        pytest.param(event(Kind.EDIT, "so", target=TARGET), ChangeQueued(TARGET, "so"), id="an edit"),
        pytest.param(
            event(Kind.EDIT, "so", target=TARGET, sender=VERA),
            Ignore("the sender is not allowed", "edit"),
            id="a viewer's edit",
        ),
        pytest.param(
            event(Kind.EDIT, "so", target=TARGET, sender=EVE),
            Ignore("the sender is not allowed", "edit"),
            id="a stranger's edit",
        ),
        pytest.param(event(Kind.EDIT, "so"), Ignore("edit events start nothing"), id="an edit of nothing"),
        pytest.param(event(Kind.REDACTION, target=TARGET), TakeBack(TARGET, may_stop=True), id="a redaction"),
        pytest.param(
            event(Kind.REDACTION, target=TARGET, sender=EVE), TakeBack(TARGET, may_stop=False), id="a moderator's"
        ),
        pytest.param(event(Kind.REDACTION), Ignore("redaction events start nothing"), id="a redaction of nothing"),
        pytest.param(event(Kind.TOMBSTONE, "!new:hs"), RoomReplaced(RoomId("!new:hs")), id="an upgrade"),
        pytest.param(event(Kind.TOMBSTONE), RoomReplaced(None), id="an upgrade to nowhere"),
        pytest.param(event(Kind.LEFT, "kick", sender=EVE), Removed(), id="a kick"),
        pytest.param(event(Kind.JOINED, sender=ME), CameIn(), id="a join"),
        pytest.param(event(Kind.GAP_LOST, "1000–2000", sender=ME), NotHeard(1000, 2000), id="a gap"),
        pytest.param(event(Kind.GAP_LOST, "1"), Ignore("a gap without its moments"), id="half a gap"),
        pytest.param(event(Kind.MALFORMED), Unreadable(), id="a message without a text"),
        pytest.param(event(Kind.MALFORMED, sender=VERA), RefuseToRun(), id="a viewer's message without a text"),
        pytest.param(
            event(Kind.MALFORMED, sender=EVE),
            Ignore("the sender is not allowed", "malformed"),
            id="a stranger's without a text",
        ),
        pytest.param(event(Kind.INVITE), Ignore("invite events start nothing"), id="an invite"),
        pytest.param(event(Kind.REACTION, "✅"), Ignore("reaction events start nothing"), id="a reaction to nothing"),
        pytest.param(event(Kind.FILE, file=PLAN), TakeFile(PLAN, None), id="a file"),
        pytest.param(event(Kind.FILE, sender=VERA, file=PLAN), RefuseToRun(), id="a file of a viewer"),
        pytest.param(
            event(Kind.FILE, "look", file=PLAN), TakeFile(PLAN, Ask("look")), id="a file with a caption is a command"
        ),
        pytest.param(event(Kind.FILE, " \n", file=PLAN), TakeFile(PLAN, None), id="a caption without a word is none"),
        pytest.param(
            event(Kind.FILE, "/status", file=PLAN),
            TakeFile(PLAN, RunBotCommand("status", "")),
            id="a caption may be a bot command",
        ),
        pytest.param(
            event(Kind.FILE, "yes", file=PLAN, target=TARGET),
            TakeFile(PLAN, AnswerInWords(TARGET, "yes", Ask("yes"))),
            id="a caption may be an answer",
        ),
        pytest.param(event(Kind.FILE, "look"), Unreadable(), id="a file that is nowhere"),
        pytest.param(event(Kind.FILE, "look", sender=VERA, file=PLAN), RefuseToRun(), id="a viewer's with a caption"),
        pytest.param(
            event(Kind.FILE, "/status", sender=VERA, file=PLAN),
            RunBotCommand("status", ""),
            id="a viewer's whose caption is a bot command",
        ),
        pytest.param(
            event(Kind.FILE, "look", sender=EVE, file=PLAN),
            Ignore("the sender is not allowed", "file"),
            id="a stranger's with a caption",
        ),
        pytest.param(event(Kind.FILE, "@claude:hs look", sender=EVE, file=PLAN), Refuse(), id="a stranger's to us"),
        pytest.param(
            event(Kind.FILE, "x", sender=EVE), Ignore("the sender is not allowed", "file"), id="a file of a stranger"
        ),
    ],
)
def test_what_is_no_text_is_no_command(said: Incoming, expected: Decision) -> None:
    assert meaning(said) == expected


@given(
    st.text(st.characters(exclude_categories=()), max_size=50),
    st.sampled_from(Kind),
    st.sampled_from([ADA, ANNA, VERA, EVE]),
    st.booleans(),
)
def test_only_text_of_those_who_may_is_ever_run(body: str, kind: Kind, sender: UserId, mention_only: bool) -> None:
    decision = meaning(event(kind, body, sender=sender, target=TARGET), mention_only=mention_only)

    assert not isinstance(decision, Ask) or (kind is Kind.TEXT and sender in (ADA, ANNA) and decision.text == body)
    assert not isinstance(decision, RunBotCommand) or (kind is Kind.TEXT and sender != EVE and decision.name in KNOWN)
    assert not isinstance(decision, AnswerApproval | StopTarget | ForgetTarget) or sender in (ADA, ANNA)
    if isinstance(decision, AnswerInWords):
        assert sender in (ADA, ANNA)
        assert kind is Kind.TEXT


def test_it_is_the_role_that_counts_and_not_who_is_listed() -> None:
    said = typed("fix it")

    assert decide(said, KITCHEN, role=None, me=ME, known=KNOWN) == Ignore("the sender is not allowed", "message")
    assert decide(said, KITCHEN, role=Role.VIEWER, me=ME, known=KNOWN) == RefuseToRun()
    assert decide(replace(said, sender=EVE), KITCHEN, role=Role.USER, me=ME, known=KNOWN) == Ask("fix it")


def test_a_message_without_a_text_is_answered_when_it_was_meant_for_us() -> None:
    to_us = event(Kind.MALFORMED, mentions=frozenset({ME}))

    assert meaning(to_us, mention_only=True) == Unreadable()
    assert meaning(event(Kind.MALFORMED), mention_only=True) == Ignore("malformed events start nothing")


def test_a_reaction_knows_whether_an_admin_put_it() -> None:
    assert meaning(reacted("🗑", sender=ADA)) == ForgetTarget(TARGET, is_admin=True)


@pytest.mark.parametrize("body", ["yes", " No, because it is late\n", "2", "🙈"])
@pytest.mark.parametrize("mention_only", [False, True])
def test_a_reply_may_answer_a_question(body: str, mention_only: bool) -> None:
    decision = meaning(typed(body, target=TARGET), mention_only=mention_only)

    otherwise = Ignore("not addressed") if mention_only else Ask(body)
    assert decision == AnswerInWords(TARGET, body, otherwise)


@pytest.mark.parametrize("body", ["/stop", "!deny no", "/stpo", "", " "])
def test_a_bot_command_and_nothing_at_all_are_no_answer(body: str) -> None:
    assert not isinstance(meaning(typed(body, target=TARGET)), AnswerInWords)


@pytest.mark.parametrize("sender", [VERA, EVE])
def test_the_word_of_somebody_who_may_not_answers_nothing(sender: UserId) -> None:
    assert not isinstance(meaning(typed("yes", target=TARGET, sender=sender)), AnswerInWords)


def test_the_word_alone_answers_nothing() -> None:
    assert meaning(typed("yes")) == Ask("yes")
