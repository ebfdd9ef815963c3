"""What of a text may be in a log line."""

import pytest

from aiagentchat.core.log_content import FULL_CHARACTERS, PREVIEW_CHARACTERS, Gathered, LogContent, Said
from aiagentchat.core.redact import Redactor, shapes_only

SECRET = "correct-horse-battery"
KNOWING = Redactor([("PASSWORD", SECRET)])
KEY = "ghp_" + "aB3" * 12


def test_without_a_wish_nothing_is_shown_however_it_is_printed() -> None:
    said = Said("make tea")

    assert said.shown(shapes_only()) is None
    assert "tea" not in f"{said} {said!r} {[said]}"


@pytest.mark.parametrize("wish", [LogContent.PREVIEW, LogContent.FULL])
def test_what_has_no_words_is_no_field(wish: LogContent) -> None:
    assert Said(" \n ", wish).shown(shapes_only()) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("make tea", "make tea", id="short"),
        pytest.param("make\n\n  tea\t now ", "make tea now", id="on one line"),
        pytest.param("x" * PREVIEW_CHARACTERS, "x" * PREVIEW_CHARACTERS, id="just as long"),
        pytest.param("x" * (PREVIEW_CHARACTERS + 1), "x" * PREVIEW_CHARACTERS + "…", id="too long"),
        pytest.param("a" + " " * 100_000 + "b", "a…", id="the rest is far away"),
    ],
)
def test_a_preview_is_the_beginning_on_one_line(text: str, shown: str) -> None:
    assert Said(text, LogContent.PREVIEW).shown(shapes_only()) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("make\ntea", "make\ntea", id="as it is"),
        pytest.param("x" * FULL_CHARACTERS, "x" * FULL_CHARACTERS, id="just as long"),
        pytest.param("x" * 10 * FULL_CHARACTERS, "x" * FULL_CHARACTERS + "…", id="more than a line holds"),
    ],
)
def test_full_is_all_of_it_up_to_what_a_line_holds(text: str, shown: str) -> None:
    assert Said(text, LogContent.FULL).shown(shapes_only()) == shown


@pytest.mark.parametrize("wish", [LogContent.PREVIEW, LogContent.FULL])
@pytest.mark.parametrize("secret", [SECRET, KEY])
@pytest.mark.parametrize("before", [0, 70, 79, 4_090, FULL_CHARACTERS - 5])
def test_a_secret_is_hidden_before_anything_is_cut(wish: LogContent, secret: str, before: int) -> None:
    shown = Said("." * before + " " + secret + " and more" * 10_000, wish).shown(KNOWING)

    assert shown is not None
    assert not any(part in shown for part in ("correct", "horse", "ghp_", "aB3"))


def test_many_secrets_bring_no_cut_one_into_view() -> None:
    shown = Said(f"{SECRET} " * 20_000, LogContent.FULL).shown(KNOWING)

    assert shown is not None
    assert "correct" not in shown


def test_what_is_taken_back_is_not_gathered() -> None:
    gathered = Gathered()

    gathered.add("Tea")
    gathered.keep()
    gathered.add(" or coffee")
    gathered.drop()
    gathered.add(" is ready.")

    assert gathered.text == "Tea is ready."


def test_no_more_is_gathered_than_may_be_shown() -> None:
    gathered = Gathered()

    for _ in range(100):
        gathered.add("x" * FULL_CHARACTERS)
        gathered.keep()

    assert gathered.text == "x" * 2 * FULL_CHARACTERS
