"""What a person reads before a tool may run: the tool and its whole input, with nothing hidden in it."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from aiagentchat.render.away import AS_ASKED_ABOVE
from aiagentchat.render.fences import code_span, fenced
from aiagentchat.render.hygiene import visible
from aiagentchat.render.words import answers_in_words, approval_answers, approval_question

MOST_DIFF_LINES = 2_000
"""Comparing takes time that grows with the square of the lines; a longer edit is shown as before and after."""

MOST_SHOWN_AGAIN = 6_000
"""Characters of a request that are shown a second time; a longer one stands further up in the room, whole."""


def approval_text(tool: str, tool_input: Mapping[str, Any], *, who: str, minutes: int, in_words: bool = False) -> str:
    """The question as Markdown, with `who` asked for it and may answer.

    It can be long: split it, and let the last piece, which says how to answer, ask.
    """
    answers = answers_in_words(minutes) if in_words else approval_answers(minutes)
    blocks = [approval_question(_named(tool)), *_shown(tool, dict(tool_input)), who, answers]
    return "\n\n".join(blocks)


def request_text(tool: str, tool_input: Mapping[str, Any]) -> str:
    """The tool and its whole input as Markdown, to be shown again; a long one by its name alone."""
    text = "\n\n".join([f"🔐 {_named(tool)}", *_shown(tool, dict(tool_input))])
    if len(text) <= MOST_SHOWN_AGAIN:
        return text
    return f"🔐 {_named(tool)}\n\n{AS_ASKED_ABOVE}"


def _named(tool: str) -> str:
    return code_span(_flat(tool or "?"))


def _shown(tool: str, left: dict[str, Any]) -> list[str]:
    """The input in the form that is easiest to judge. Whatever has no form of its own follows as JSON."""
    blocks: list[str] = []
    for key, label in (("description", "Description"), ("file_path", "File")):
        if _strings(left, key):
            blocks.append(f"{label}: {code_span(_flat(left.pop(key)))}")
    if tool == "Bash" and _strings(left, "command"):
        blocks.append(fenced(visible(left.pop("command")), "bash"))
    elif tool == "Write" and _strings(left, "content"):
        blocks.append(fenced(visible(left.pop("content"))))
    elif tool == "Edit" and _strings(left, "old_string", "new_string"):
        blocks.extend(_changes(left.pop("old_string"), left.pop("new_string")))
    if left or not blocks:
        blocks.append(fenced(visible(json.dumps(left, ensure_ascii=False, indent=2, default=str)), "json"))
    return blocks


def _strings(values: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(values.get(key), str) for key in keys)


def _changes(old: str, new: str) -> list[str]:
    before, after = old.split("\n"), new.split("\n")
    if len(before) + len(after) > MOST_DIFF_LINES:
        return ["Before:", fenced(visible(old)), "After:", fenced(visible(new))]
    every = max(len(before), len(after))
    diff = difflib.unified_diff(before, after, "before", "after", n=every, lineterm="")
    return [fenced(visible("\n".join(diff) or "(no change)"), "diff")]


def _flat(text: str) -> str:
    """On one line, exactly."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")
