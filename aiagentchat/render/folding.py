"""Tool lines in an answer: where they happened while it grows, folded together at its end when it is done. Pure.

In the text of an answer that is being written a tool line begins with a mark. The plain text of a message never folds:
it reads in the order in which things happened.
"""

from aiagentchat.render.markdown import to_html
from aiagentchat.render.words import steps_folded

MARK = "\ufdd0"
"""A noncharacter: the Unicode standard keeps it for uses inside a program, and nobody's text has it."""
LEAST_FOLDED = 2
"""One line takes no more place than the fold that would hide it."""


def step(line: str) -> str:
    """A tool line, to be put into the text of an answer on a line of its own."""
    return f"{MARK}{line}"


def unmarked(text: str) -> str:
    """Text from outside, in which nothing can be taken for a tool line."""
    return text.replace(MARK, "\ufffd")


def plain(text: str) -> str:
    """The text of an answer as it is read."""
    return text.replace(MARK, "")


def is_foldable(text: str) -> bool:
    """Whether there is anything to fold."""
    return text.count(MARK) >= LEAST_FOLDED


def folded_html(text: str) -> str:
    """The HTML of an answer, with its tool lines in a fold at the end."""
    lines = text.split("\n")
    steps = [line[1:].rstrip() for line in lines if line.startswith(MARK)]
    said = "\n".join(line for line in lines if not line.startswith(MARK))
    joined = "\n".join(steps)
    fold = f"<details><summary>{steps_folded(len(steps))}</summary>{to_html(joined)}</details>"
    return f"{to_html(said)}\n{fold}".strip()
