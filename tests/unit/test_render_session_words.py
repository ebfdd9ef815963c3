"""The sentences about conversations, models, and commands that are not the daemon's."""

import pytest

from aiagentchat.core.agent_commands import OWN
from aiagentchat.core.ids import SessionId
from aiagentchat.core.sessions import Session
from aiagentchat.render import session_words as words
from tests.contract.store_fixtures import NOW, ROOM

TEA = Session(id=SessionId("1"), room=ROOM, name="tea", used_at=NOW - 5 * 60_000, turns=12)
SOUP = Session(id=SessionId("2"), room=ROOM, name="soup", used_at=NOW, turns=1)


def test_the_list_is_a_table_that_marks_where_we_are() -> None:
    assert words.sessions_listed([SOUP, TEA], TEA.id, NOW).splitlines()[:4] == [
        "| session | used | turns |",
        "|---|---|---|",
        "| `soup` | just now | 1 |",
        "| **`tea`** ← now | 5 min ago | 12 |",
    ]


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (-5, "just now"),
        (59_999, "just now"),
        (60_000, "1 min ago"),
        (3_600_000, "1 h ago"),
        (86_400_000 * 3, "3 d ago"),
    ],
)
def test_how_long_something_is_past(milliseconds: int, said: str) -> None:
    assert words.ago(milliseconds) == said


@pytest.mark.parametrize(
    ("sentence", "has"),
    [
        pytest.param(words.new_session(None, is_asked=False), "Your next message starts", id="the first session"),
        pytest.param(words.new_session("tea", is_asked=True), "`/resume tea` goes back", id="another session"),
        pytest.param(words.resumed(TEA, 0, NOW), "12 turns, last used 5 min ago", id="back"),
        pytest.param(words.resumed(SOUP, 1, NOW), "1 message from before keeps its session", id="back, one waits"),
        pytest.param(words.resumed(TEA, 2, NOW), "2 messages from before keep their session", id="back, more wait"),
        pytest.param(words.resumed_already("tea"), "`tea` already", id="back to where we are"),
        pytest.param(words.no_such_session("tee", "tea"), "Did you mean `tea`?", id="no such session, nearly"),
        pytest.param(words.no_such_session("zzz", ""), "changed. `/sessions`", id="no such session"),
        pytest.param(words.several_sessions("te", ["tea", "tee"]), "`tea`, `tee`.", id="several"),
        pytest.param(words.several_sessions("t", list("abcdefg")), "`e`, 2 more.", id="many"),
        pytest.param(words.named("tea", None), "called `tea` now.", id="named first"),
        pytest.param(words.named("tea", "soup"), "It was `soup`.", id="renamed"),
        pytest.param(words.name_taken("tea"), "nothing was changed", id="taken"),
        pytest.param(words.not_a_name("!!"), "no letter", id="no name"),
        pytest.param(words.exported("tea"), "`tea`", id="a file"),
        pytest.param(words.no_such_own("compakt", "compact"), "Did you mean `/agent compact`?", id="a slip"),
        pytest.param(words.no_such_own("exit", ""), "`/agent` lists", id="not the agent's"),
        pytest.param(words.model_shown(None, None), "the agent chooses", id="no model at all"),
        pytest.param(words.model_shown("opus", "sonnet"), "uses `opus`", id="a model"),
        pytest.param(words.model_set("opus"), "`/model default` takes it back", id="a model is set"),
        pytest.param(words.model_reset(None), "what the agent chooses", id="no model again"),
        pytest.param(words.model_reset("sonnet"), "`sonnet` again", id="the model of config.yaml"),
        pytest.param(words.no_such_model("sonet", "sonnet"), "Did you mean `sonnet`?", id="a slip in a model"),
        pytest.param(words.no_such_model("zzz", ""), "no model that I know", id="no model"),
    ],
)
def test_a_sentence_says_what_is_and_what_to_do(sentence: str, has: str) -> None:
    assert has in sentence


def test_the_commands_of_the_agent_and_of_the_project_are_listed() -> None:
    bare, few = words.agent_commands(OWN, []), words.agent_commands(OWN, ["fix"])
    many = words.agent_commands(OWN, [f"c{number}" for number in range(words.MOST_CUSTOM + 2)])

    assert "- `/agent compact` makes" in bare
    assert "no commands of its own" in bare
    assert few.endswith("- `/fix`")
    assert many.endswith("- … and 2 more")
