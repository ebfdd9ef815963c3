"""Messages as lines: what is in a room can make no terminal do anything."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from aiagentchat.cli.chat.paint import Painter, console, parts
from aiagentchat.cli.chat.timeline import Message, Timeline
from aiagentchat.core.ids import EventId, SessionId, UserId
from aiagentchat.render import asking_words, away
from aiagentchat.render.asking_words import ALLOWS_ONCE
from aiagentchat.render.words import footer
from tests.unit.test_chat_timeline import QUESTION

ME, BOT = UserId("@me:hs"), UserId("@bot:hs")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def painter(*, colours: bool = False) -> Painter:
    drawn = console(io.StringIO())
    if colours:
        drawn = console(_Tty())
    return Painter(drawn, ME)


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def asked(body: str) -> Message:
    return Message(id=EventId("$1"), sender=BOT, kind="m.text", body=body)


def painted(
    body: str, *, sender: UserId = BOT, headed: bool = False, reactions: dict[str, set[UserId]] | None = None
) -> str:
    said = Message(id=EventId("$1"), sender=sender, kind="m.text", body=body, reactions=reactions or {})
    return "\n".join(line.rstrip() for line in painter().message(said, Timeline(ME), 60, headed=headed))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param("a **b** `c`", "  a b c\n", id="markdown"),
        pytest.param("# Title", "  Title\n", id="a heading stands left"),
        pytest.param("[x](http://evil.example)", "  x (http://evil.example)\n", id="a link shows where it leads"),
        pytest.param("a\x1b[2Jb\x07\x9b1mc", "  abc\n", id="escape sequences"),
        pytest.param("a\u202eb\u2066", "  a\\u202eb\\u2066\n", id="what reorders is spelled out"),
        pytest.param("a &#x202e;b", "  a \\u202eb\n", id="also as an entity"),
        pytest.param("say @\u2060room", "  say @room\n", id="a word joiner is no character"),
        pytest.param("[red]x[/red] :smile:", "  [red]x[/red] :smile:\n", id="no markup of our library"),
        pytest.param(
            "Hm\n\n▸ Bash: `make test`  \n▸ Read: `` a`b ``", "  Hm\n\n  ▸ Bash: make test\n  ▸ Read: a`b\n", id="tools"
        ),
        pytest.param("", "\n", id="nothing"),
    ],
)
def test_a_message_is_drawn(body: str, shown: str) -> None:
    assert painted(body) == (shown if body else "")


def test_whose_words_they_are_stands_above_them() -> None:
    assert painted("hi", headed=True) == "bot\n  hi\n"
    assert painted("hi", headed=True, sender=UserId("@bot:other")) == "@bot:other\n  hi\n"


def test_reactions_stand_beside_ones_own_words() -> None:
    assert painted("one\ntwo", sender=ME) == "› one\n  two\n"
    assert painted("do", sender=ME, reactions={"👀": {BOT}}) == "› do  👀\n"
    assert (
        painted("do", sender=ME, reactions={"👀": {BOT}, "👍": {BOT}, "✅": {BOT}, "x\x1b[2J": set()})
        == "› do  ✅ 👍\n"
    )
    assert painted("ok", reactions={"👍": {ME}}) == "  ok\n  👍\n"


def test_quiet_lines_are_told_from_markdown_and_from_code() -> None:
    last = footer(duration_ms=600, cost_micro_usd=1, input_tokens=1, output_tokens=1, session=SessionId("abcdef"))
    body = f"text\n```\n▸ code\n~~~\n```\n▸ Bash: `x`\n{last}\n{ALLOWS_ONCE}, or not\n— a dash"

    assert [(quiet, text.count("\n")) for quiet, text in parts(body)] == [(False, 4), (True, 2), (False, 0)]


@given(st.text(max_size=300), st.booleans(), st.integers(min_value=20, max_value=100))
def test_nothing_but_colours_reaches_the_terminal(body: str, mine: bool, width: int) -> None:
    said = Message(id=EventId("$1"), sender=ME if mine else BOT, kind="m.text", body=body)
    for line in painter(colours=True).message(said, Timeline(ME), width, headed=True):
        plain = _COLOUR.sub("", line)

        assert plain.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain)
        assert cell_len(plain) <= width


_HOSTILE = st.lists(
    st.sampled_from(
        ["\x1b[31m", "&#27;", "&#x1b;[2J", "\x9b", "&#155;", "\r", "&#13;", "`", "\n", "|", "- ", "\u202e", "a", "["]
    ),
    max_size=30,
).map("".join)


@given(_HOSTILE)
def test_no_disguise_of_an_escape_sequence_gets_through(body: str) -> None:
    said = Message(id=EventId("$1"), sender=BOT, kind="m.text", body=body)
    for line in painter(colours=True).message(said, Timeline(ME), 60, headed=False):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", _COLOUR.sub("", line))


def test_the_box_says_which_keys_answer() -> None:
    box = "\n".join(painter().question(asked(QUESTION), ready=True, width=80))

    assert "bot waits for your answer" in box
    assert "y  allow once     a  always     n  deny" in box
    assert "Ctrl-U" in "\n".join(painter().question(asked(QUESTION), ready=False, width=80))


@pytest.mark.parametrize(
    ("last_line", "keys"),
    [
        (asking_words.choice_answers(many=False, minutes=5, in_words=False), "1-9  choose"),
        (asking_words.choice_answers(many=True, minutes=5, in_words=False), "type the numbers that you choose"),
        (asking_words.plan_answers(minutes=5, in_words=True, request="r"), "1-9  choose"),
        (away.RESUME_ANSWERS, "y  allow once     n  deny"),
    ],
)
def test_the_keys_are_those_that_answer_this_question(last_line: str, keys: str) -> None:
    assert keys in "\n".join(painter().question(asked(last_line), ready=True, width=80))


def test_the_box_says_who_is_in_the_room_up_to_a_number() -> None:
    few = "\n".join(painter().members([BOT, UserId("@eve:other")], 60))
    many = "\n".join(painter().members([UserId(f"@u{number}:hs") for number in range(20)], 60))

    assert "2 in the room" in few
    assert "@eve:other" in few
    assert "and 8 more" in many


def test_a_status_is_one_line() -> None:
    assert painter().status("a\nb\x1b[2J " + "x" * 50, 20) == "a b " + "x" * 15 + "…"
