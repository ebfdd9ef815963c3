"""What is allowed for good is narrow, and what the agent asks is understood to the letter or not at all."""

from typing import Any

import pytest

from aiagentchat.core.approvals import Picked, Scope, scope_of
from aiagentchat.core.choices import MOST_OPTIONS, MOST_QUESTIONS, Choice, Option, answer_of, answered, choices_in

LS = {"command": "ls"}


def test_a_command_is_allowed_to_the_letter_however_it_is_described() -> None:
    scope, rule = scope_of("Bash", {**LS, "description": "List"})

    assert scope is Scope.COMMAND
    assert scope_of("Bash", {**LS, "description": "Look", "timeout": 5}) == (scope, rule)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"command": "ls "}, id="another command"),
        pytest.param({**LS, "run_in_background": True}, id="run otherwise"),
        pytest.param({**LS, "dangerouslyDisableSandbox": True}, id="with more rights"),
    ],
)
def test_what_differs_in_anything_else_is_another_command(other: dict[str, Any]) -> None:
    assert scope_of("Bash", other)[1] != scope_of("Bash", LS)[1]


def test_a_tool_that_changes_a_file_is_allowed_on_that_file_alone() -> None:
    scope, rule = scope_of("Edit", {"file_path": "/w/a", "old_string": "1", "new_string": "2"})

    assert scope is Scope.FILE
    assert scope_of("Edit", {"file_path": "/w/a", "old_string": "3", "new_string": "4"}) == (scope, rule)
    assert scope_of("Edit", {"file_path": "/w/b"})[1] != rule
    assert scope_of("Write", {"file_path": "/w/a"})[1] != rule
    assert scope_of("NotebookEdit", {"notebook_path": "/w/a"})[0] is Scope.FILE


@pytest.mark.parametrize(
    ("tool", "tool_input"),
    [
        ("WebFetch", {"url": "https://example.org"}),
        ("Read", {"file_path": "/w/a"}),
        ("Edit", {"file_path": ""}),
        ("Bash", {"command": 1}),
        ("", {}),
    ],
)
def test_everything_else_is_allowed_to_the_letter(tool: str, tool_input: dict[str, Any]) -> None:
    scope, rule = scope_of(tool, tool_input)

    assert scope is Scope.REQUEST
    assert scope_of(tool, {**tool_input, "more": 1})[1] != rule


# ── the agent's own questions ──

A, B = {"label": "A", "description": "the first"}, {"label": "B"}
ASKED = {"question": "Which?", "header": "Pick", "options": [A, B], "multiSelect": True}
CHOICE = Choice(question="Which?", header="Pick", options=(Option("A", "the first"), Option("B")), many=True)


def test_questions_are_read_with_their_choices() -> None:
    other = {"question": "And?", "options": [B], "header": 1}

    assert choices_in({"questions": [ASKED, other]}) == (CHOICE, Choice(question="And?", options=(Option("B"),)))


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"questions": "Which?"}, id="a text"),
        pytest.param({"questions": []}, id="none"),
        pytest.param({"questions": ["Which?"]}, id="no object"),
        pytest.param({"questions": [{**ASKED, "question": ""}]}, id="without words"),
        pytest.param({"questions": [{**ASKED, "options": []}]}, id="without choices"),
        pytest.param({"questions": [{**ASKED, "options": [A, {"label": ""}]}]}, id="a choice without a label"),
        pytest.param({"questions": [{**ASKED, "options": [A, "B"]}]}, id="a choice that is none"),
        pytest.param({"questions": [{**ASKED, "options": [A] * (MOST_OPTIONS + 1)}]}, id="too many choices"),
        pytest.param({"questions": [ASKED, ASKED]}, id="the same twice"),
        pytest.param({"questions": [{**ASKED, "question": str(n)} for n in range(MOST_QUESTIONS + 1)]}, id="too many"),
    ],
)
def test_what_is_not_understood_whole_is_not_asked(asked: dict[str, Any]) -> None:
    assert choices_in(asked) == ()


def test_an_answer_is_labels_or_words() -> None:
    assert answer_of(CHOICE, Picked((2,))) == "B"
    assert answer_of(CHOICE, Picked((1, 2))) == "A, B"
    assert answer_of(CHOICE, Picked(text="neither")) == "neither"


def test_the_tool_gets_its_input_back_with_the_answers() -> None:
    assert answered({"questions": [ASKED], "x": 1}, [(CHOICE, "B")]) == {
        "questions": [ASKED],
        "x": 1,
        "answers": {"Which?": "B"},
    }
