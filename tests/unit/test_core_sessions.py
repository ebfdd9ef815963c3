"""How a conversation gets its name, and how it is found by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import SessionId
from aiagentchat.core.sessions import LONGEST_NAME, UNNAMED, Found, Session, find, free_name, name_from, name_typed
from tests.contract.store_fixtures import NOW, ROOM


def session(name: str) -> Session:
    return Session(id=SessionId(name), room=ROOM, name=name, used_at=NOW)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("Fix the build, please!", "fix-the-build-please", id="the first words"),
        pytest.param("one two three four five", "one-two-three-four", id="four of them"),
        pytest.param("@claude:hs fix it", "fix-it", id="without the id that it speaks to"),
        pytest.param("claude: fix it", "fix-it", id="without the name that it speaks to"),
        pytest.param("don't panic", "dont-panic", id="an apostrophe parts no word"),
        pytest.param("look at https://example.org/x now", "look-at-now", id="no address"),
        pytest.param("use 0123456789abcdef0123456789 here", "use-here", id="nothing that is too long for a word"),
        pytest.param("password=hunter2hunter2 in it", "password-in-it", id="nothing that looks like a secret"),
        pytest.param("Über größere Häuser", "über-größere-häuser", id="letters of any script"),
        pytest.param(
            "请帮我修复登录页面上那个奇怪的错误，谢谢你",
            "请帮我修复登录页面上那个奇怪的错误-谢谢你",
            id="a language without blanks",
        ),
        pytest.param("看https://example.org/x吧", "看-吧", id="no address, also within one"),
        pytest.param("密钥0123456789abcdef0123456789。", "密钥", id="no key either"),
        pytest.param("ﬁx ①", "fix-1", id="what only looks different"),
        pytest.param("हिन्दी में", "हिन्दी-में", id="marks belong to their letters"),
        pytest.param(
            "internationalise internationalise x", "internationalise-internationalis", id="not longer than it may be"
        ),
        pytest.param("🎉 !!", UNNAMED, id="no word at all"),
        pytest.param("", UNNAMED, id="nothing"),
    ],
)
def test_a_conversation_is_called_by_its_first_words(text: str, name: str) -> None:
    assert name_from(text) == name


@given(st.text())
def test_whatever_was_said_the_name_is_short_and_has_no_sign_but_dashes(text: str) -> None:
    name = name_from(text)

    assert 0 < len(name) <= LONGEST_NAME
    assert name.strip("-") == name
    assert not set(name) & set(" \n`|*_<>@/\\")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Login rework", "login-rework"),
        ("claude: x", "claude-x"),
        ("a-b_c", "a-b-c"),
        ("!!", ""),
        ("x " * 50, "x-" * 15 + "x-x"[:2]),
    ],
)
def test_a_name_that_somebody_chose_keeps_all_its_words(typed: str, name: str) -> None:
    assert name_typed(typed) == name.strip("-")


def test_a_name_that_others_have_gets_a_number() -> None:
    assert free_name("tea", []) == "tea"
    assert free_name("tea", ["tea", "tea-3"]) == "tea-2"
    assert free_name("tea", ["tea", "tea-2"]) == "tea-3"


TEA, TEA_2, SOUP = session("tea"), session("tea-2"), session("soup-of-the-day")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        pytest.param("tea", Found(TEA), id="a whole name comes before what begins so"),
        pytest.param("Tea", Found(TEA), id="capitals make no difference"),
        pytest.param("soup", Found(SOUP), id="the beginning of one"),
        pytest.param("Soup of", Found(SOUP), id="in words"),
        pytest.param("te", Found(several=["tea", "tea-2"]), id="the beginning of several"),
        pytest.param("tee", Found(nearest="tea"), id="a slip"),
        pytest.param("zzz", Found(), id="nothing like it"),
        pytest.param("!!", Found(), id="no name"),
    ],
)
def test_a_conversation_is_found_by_its_name_or_how_it_begins(typed: str, found: Found) -> None:
    assert find(typed, [TEA, TEA_2, SOUP]) == found
