"""The agent's own questions: what they ask, and the form in which it takes the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.approvals import Picked

MOST_OPTIONS = 9
"""More have no key on a phone."""
MOST_QUESTIONS = 9


@dataclass(frozen=True, slots=True)
class Option:
    """One of the choices."""

    label: str
    description: str = ""
    preview: str = ""
    """What it would look like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One question with its choices."""

    question: str
    header: str = ""
    options: tuple[Option, ...]
    many: bool = False
    """Whether more than one may be chosen."""


def choices_in(input_: Mapping[str, Any]) -> tuple[Choice, ...]:
    """The questions in the input of an AskUserQuestion; none if it has not the shape that we know.

    Two that ask the same cannot be told apart in the answer.
    """
    asked = input_.get("questions")
    if not isinstance(asked, list) or len(asked) > MOST_QUESTIONS:
        return ()
    choices = [choice for each in asked if (choice := _choice(each)) is not None]
    are_known = len(choices) == len(asked) == len({choice.question for choice in choices})
    return tuple(choices) if are_known else ()


def _choice(asked: object) -> Choice | None:
    match asked:
        case {"question": str(question), "options": list(raw), **more} if question and len(raw) <= MOST_OPTIONS:
            options = [option for each in raw if (option := _option(each)) is not None]
            if not options or len(options) != len(raw):
                return None
            header = more.get("header")
            return Choice(
                question=question,
                header=header if isinstance(header, str) else "",
                options=tuple(options),
                many=more.get("multiSelect") is True,
            )
        case _:
            return None


def _option(raw: object) -> Option | None:
    match raw:
        case {"label": str(label), **more} if label:
            description, preview = more.get("description"), more.get("preview")
            return Option(
                label,
                description if isinstance(description, str) else "",
                preview if isinstance(preview, str) else "",
            )
        case _:
            return None


def answer_of(choice: Choice, picked: Picked) -> str:
    """What the agent is told: labels, separated by commas, or what somebody wrote."""
    labels = [choice.options[number - 1].label for number in picked.numbers if number <= len(choice.options)]
    return ", ".join([*labels, *([picked.text] if picked.text else [])])


def answered(input_: Mapping[str, Any], answers: Sequence[tuple[Choice, str]]) -> dict[str, Any]:
    """The input of the tool with the answers in it, by the text of each question."""
    return {**input_, "answers": {choice.question: answer for choice, answer in answers}}
