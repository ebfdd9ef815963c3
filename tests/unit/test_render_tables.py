"""What a table is."""

import pytest

from aiagentchat.render.tables import Table, cells, is_row, table_of


@pytest.mark.parametrize(
    ("head", "delimiters"),
    [
        pytest.param("| a | b |", "|---|:-:|", id="with borders"),
        pytest.param("a | b", "--- | ---", id="without"),
        pytest.param("| a |", "|---|", id="one column"),
        pytest.param("| a \\| b | c |", "|-|-|", id="a border that is escaped"),
    ],
)
def test_a_head_and_what_stands_below_it_begin_a_table(head: str, delimiters: str) -> None:
    assert table_of(head, delimiters) == Table(f"{head}\n{delimiters}\n")


@pytest.mark.parametrize(
    ("head", "delimiters"),
    [
        pytest.param("", "|---|", id="no head"),
        pytest.param("a", "---", id="a heading"),
        pytest.param("| a | b |", "|---|", id="too few"),
        pytest.param("| a |", "| b |", id="two rows"),
        pytest.param("- a | b", "---|---", id="in a list"),
        pytest.param("> a | b", "---|---", id="in a quotation"),
        pytest.param("1. a | b", "---|---", id="in a numbered list"),
        pytest.param("    | a |", "|---|", id="code"),
    ],
)
def test_other_lines_begin_none(head: str, delimiters: str) -> None:
    assert table_of(head, delimiters) is None


def test_rows_have_borders() -> None:
    assert [is_row(line) for line in ("| a |", "a | b", "|", "", "  ", "text", "> | a |")] == [
        *(True, True, True),
        *(False, False, False, False),
    ]


def test_cells_are_counted_between_borders() -> None:
    assert [cells(line) for line in ("| a | b |", "a | b", "| a", "|", "| |", "a")] == [2, 2, 1, 0, 1, 1]
