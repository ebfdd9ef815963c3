"""Long Markdown is split where it hurts least."""

import time

import pytest

from aiagentchat.render.fences import close_open, code_span, fenced, open_fence
from aiagentchat.render.split import LEAST_LIMIT, Piece, join, split, split_once

LIMIT = 300
HALF = "x" * 200


def texts(text: str, limit: int = LIMIT) -> list[str]:
    return [piece.text for piece in split(text, limit)]


# ── fences ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        pytest.param("```py\nx", "```", id="backticks"),
        pytest.param("~~~~ py\nx\n~~~", "~~~~", id="tildes, longer than what follows"),
        pytest.param("~~~ a`b\nx", "~~~", id="a backtick behind tildes"),
        pytest.param("````\n```\nx", "````", id="a shorter one inside"),
        pytest.param("```\n``` py", "```", id="a closing line says nothing more"),
        pytest.param("```\n    ```", "```", id="one that is indented as code closes nothing"),
        pytest.param("```\n> ```", "```", id="one in a quotation neither"),
        pytest.param("```\n- ```", "```", id="one in a list neither"),
        pytest.param("1. a\n   ```sh\n   ls", "   ```", id="in a list item"),
        pytest.param("- ```sh\n  ls", "  ```", id="behind a bullet"),
    ],
)
def test_an_open_fence_is_seen_and_closed(text: str, closing: str) -> None:
    assert close_open(text) == f"{text}\n{closing}"
    assert close_open(f"{text}\n") == f"{text}\n{closing}"
    assert open_fence(close_open(text)) is None


def test_a_fence_in_a_quotation_is_closed_there() -> None:
    assert close_open("> ```sh\n> ls") == "> ```sh\n> ls\n> ```"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("a ``` b", id="in a sentence"),
        pytest.param("```x```", id="inline code"),
        pytest.param("```\nx\n`````", id="closed by a longer one"),
        pytest.param("- ```\n  x\n  ```", id="closed in its list item"),
        pytest.param("> ```\n> x\n\ny", id="the quotation has ended"),
        pytest.param("`" * 33, id="longer than anybody writes"),
        pytest.param(" " * 33 + "```", id="deeper than anybody writes"),
    ],
)
def test_what_is_no_open_fence_stays_as_it_is(text: str) -> None:
    assert open_fence(text) is None
    assert close_open(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x", "`x`", id="plain"),
        pytest.param("a`b", "``a`b``", id="a backtick inside"),
        pytest.param("`a", "`` `a ``", id="a backtick at the border"),
        pytest.param(" a ", "`  a  `", id="spaces at the border"),
        pytest.param(" ", "` `", id="nothing but a space"),
        pytest.param("", "` `", id="nothing"),
    ],
)
def test_a_code_span_holds_any_text(text: str, expected: str) -> None:
    assert code_span(text) == expected


def test_a_chosen_fence_is_longer_than_any_inside() -> None:
    assert fenced("a\n````\nb", "md") == "`````md\na\n````\nb\n`````"
    assert fenced("a") == "```\na\n```"


# ── borders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_text_is_one_piece() -> None:
    assert split("a\n\n", LIMIT) == (Piece(text="a\n\n"),)
    assert split("", LIMIT) == ()


def test_a_blank_line_is_the_best_border() -> None:
    text = f"{HALF}\n \n\n  b\n{'c' * 20}\n{HALF}"

    assert texts(text) == [HALF, f"  b\n{'c' * 20}\n{HALF}"]


def test_a_border_too_early_is_not_taken() -> None:
    assert texts("a\n\n" + "b " * 200)[0].startswith("a\n\nb b")


def test_a_fence_that_fits_stays_whole() -> None:
    code = "```py\n" + "y = 1\n" * 30 + "```"

    assert texts(f"{HALF}\n{code}\nend") == [HALF, f"{code}\nend"]
    assert texts(f"{code}\n{HALF}") == [code, HALF]


def test_a_blank_line_in_code_is_no_border_between_blocks() -> None:
    text = f"{'x' * 120}\n\n```\n{'y' * 70}\n\n{HALF}\n```"

    assert texts(text)[0] == "x" * 120


def test_a_fence_that_does_not_fit_is_closed_and_opened_again() -> None:
    text = "~~~py\n" + "y = 1\n" * 60 + "~~~\nend"
    pieces = split(text, LIMIT)

    assert all(piece.text.startswith("~~~py\ny = 1\n") for piece in pieces)
    assert [piece.text.endswith("y = 1\n~~~") for piece in pieces] == [True, False]
    assert pieces[-1].text.endswith("y = 1\n~~~\nend")
    assert join(pieces) == text


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────

HEAD = "| a | b |\n|---|--:|\n"
ROWS = "".join(f"| row {number} | {'x' * 20} |\n" for number in range(40))


def test_a_table_that_does_not_fit_is_cut_between_rows_and_has_its_head_again() -> None:
    pieces = split(f"Look:\n\n{HEAD}{ROWS}\nend", LIMIT)

    assert join(pieces) == f"Look:\n\n{HEAD}{ROWS}\nend"
    assert len(pieces) > 3
    assert all(piece.text.removeprefix("Look:\n\n").startswith(f"{HEAD}| row ") for piece in pieces)
    assert all(piece.text.endswith(" |") for piece in pieces[:-1])
    assert sum(piece.text.count("| row") for piece in pieces) == 40
    assert pieces[-1].text.endswith("|\n\nend")


def test_nothing_behind_a_table_gets_its_head() -> None:
    table = HEAD + "| 1 | 2 |\n" * 20

    assert texts(f"{table}\n{HALF}") == [table.rstrip(), HALF]
    assert texts(f"{table}{HALF}") == [table.rstrip(), HALF]
    assert texts(f"{table}```\n{HALF}\n```") == [table.rstrip(), f"```\n{HALF}\n```"]


def test_the_head_of_a_table_stays_whole() -> None:
    table = HEAD + "| 1 | 2 |\n" * 10

    assert texts(f"{HALF}\n{table}") == [HALF, table]


def test_a_head_that_would_fill_the_piece_is_said_once() -> None:
    head = f"| {'h' * 100} | b |\n|---|---|\n"
    pieces = split(head + ROWS, LIMIT)

    assert join(pieces) == head + ROWS
    assert [piece.opened for piece in pieces] == [0] * len(pieces)


def test_the_rest_goes_on_in_the_table_that_was_cut() -> None:
    piece, rest = split_once(HEAD + ROWS, LIMIT)

    assert rest.startswith(f"{HEAD}| row ")
    assert piece.text.count("| row") + rest.count("| row") == 40


def test_a_table_whose_next_row_is_not_written_yet_stays_open() -> None:
    text = f"{HEAD}| {'x' * 200} | 1 |\n"

    assert split_once(text + "|" * 100, LIMIT)[1].startswith(HEAD)
    assert split_once(f"{text}", 256)[1] == ""


# ── links ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "link",
    [
        "[a label of some words. And more](https://example.org/a)",
        "![a picture of it](https://example.org/a.png)",
        "<https://example.org/a>",
        "https://example.org/" + "a/" * 30,
    ],
)
@pytest.mark.parametrize("before", range(120, 300, 7))
def test_a_link_is_not_cut(link: str, before: int) -> None:
    text = "word " * (before // 5) + link + " word" * 60

    assert sum(piece.text.count(link) for piece in split(text, LIMIT)) == 1


def test_a_link_that_is_longer_than_a_piece_is_cut() -> None:
    pieces = split(f"[a](https://example.org/{'x' * 1000})", LIMIT)

    assert len(pieces) > 3
    assert all(piece.text for piece in pieces)


def test_an_unclosed_fence_is_closed_in_the_last_piece() -> None:
    assert split("```\nx", LIMIT) == (Piece(text="```\nx\n```", closed=4),)


def test_no_piece_ends_with_a_fence_that_holds_nothing() -> None:
    first = texts(f"{'x' * 180}\n```{'a ' * 20}\n{HALF}\n```")[0]

    assert first == "x" * 180


def test_a_fence_in_a_list_is_opened_with_its_indentation() -> None:
    text = "1. a\n   ```sh\n" + "   ls\n" * 70 + "   ```"

    assert texts(text)[1].startswith("   ```sh\n   ls\n")


def test_a_fence_that_its_quotation_left_open_is_closed_where_the_quotation_ends() -> None:
    assert texts(f"{HALF}\n> ```\n\n{HALF}") == [f"{HALF}\n> ```\n> ```", HALF]


def test_a_line_end_is_better_than_a_sentence() -> None:
    assert texts(f"{HALF}\nSo. {HALF}") == [HALF, f"So. {HALF}"]


def test_a_sentence_is_better_than_a_space() -> None:
    assert texts(f"{HALF} end. {'b ' * 100}")[0] == f"{HALF} end."


def test_a_space_is_better_than_nothing() -> None:
    assert texts(f"{HALF} {HALF}") == [HALF, HALF]


def test_whitespace_at_a_border_makes_no_piece() -> None:
    assert texts(HALF + " " * 500) == [HALF]
    assert texts(HALF + "\n" + " " * 500 + "b") == [HALF, "b"]
    assert texts(" " * 500 + "b")[-1] == "b"


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("é", id="two bytes"),
        pytest.param("日", id="three bytes"),
        pytest.param("😀", id="four bytes"),
        pytest.param("e\u0301", id="an accent of its own"),
        pytest.param("❤\ufe0f", id="a variation"),
        pytest.param("👍🏽", id="a skin tone"),
        pytest.param("👩‍👩‍👧", id="a family"),
        pytest.param("\ud83d\ude00", id="two surrogates"),
    ],
)
def test_a_written_character_stays_whole(character: str) -> None:
    pieces = texts(character * 300, LEAST_LIMIT)

    assert "".join(pieces) == character * 300
    assert {piece.replace(character, "") for piece in pieces} == {""}


def test_flags_without_end_are_cut_somewhere() -> None:
    assert "".join(texts("🇩🇪" * 100, LEAST_LIMIT)) == "🇩🇪" * 100


def test_windows_line_ends_are_borders_too() -> None:
    assert texts(f"{HALF}\r\n\r\n{HALF}") == [f"{HALF}\r", f"\r\n{HALF}"]


def test_a_limit_that_fences_alone_could_use_up_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        split("x", LEAST_LIMIT - 1)


# ── text that is still being written ──────────────────────────────────────────────────────────────────────────────


def test_the_rest_goes_on_in_the_fence_that_was_cut() -> None:
    head, rest = split_once("```py\n" + "y = 1\n" * 60, LIMIT)

    assert head.text.endswith("y = 1\n```")
    assert rest.startswith("```py\ny = 1\n")
    assert close_open(rest) == rest + "```"


def test_the_rest_of_plain_text_is_plain() -> None:
    assert split_once(f"{HALF}\n\n{HALF}", LIMIT) == (Piece(text=HALF, dropped="\n\n"), HALF)


def test_a_text_that_fits_leaves_no_rest() -> None:
    assert split_once("a\n", LIMIT) == (Piece(text="a\n"), "")


# ── size ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("lorem ipsum. dolor\n" * 270_000, id="lines"),
        pytest.param("x" * 5_000_000, id="one line", marks=pytest.mark.long),
        pytest.param("```py\n" + "x = 1\n" * 800_000, id="one fence"),
        pytest.param("\n" * 5_000_000, id="nothing but line ends", marks=pytest.mark.long),
    ],
)
def test_five_megabytes_take_seconds(text: str) -> None:
    before = time.process_time()
    pieces = split(text, 8_000)

    assert time.process_time() - before < 10
    assert join(pieces) == text


def test_a_text_that_fits_but_not_with_the_end_of_its_fence_is_split() -> None:
    text = "```\n" + "line of code\n" * 30
    limit = len(text)
    pieces = split(text, limit)

    assert len(pieces) == 2
    assert all(len(piece.text) <= limit for piece in pieces)
    assert join(pieces) == text
