"""What a person reads before a tool may run, a plan is carried out, or the agent is answered: whole, or with the whole
of it in a file, and with nothing hidden in it."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.approvals import DIGEST_SHOWN, Scope
from aiagentchat.core.choices import Choice
from aiagentchat.render import asking_words
from aiagentchat.render.away import AS_ASKED_ABOVE
from aiagentchat.render.fences import close_open, code_span, fenced
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.render.message import PAGE_BYTES
from aiagentchat.render.split import split_once
from aiagentchat.render.words import approval_question

MOST_DIFF_LINES = 2_000
"""Comparing takes time that grows with the square of the lines; a longer edit is shown as before and after."""

MOST_SHOWN_AGAIN = 6_000
"""Characters of a request that are shown a second time; a longer one stands further up in the room, whole."""

HEAD_BYTES, TAIL_BYTES = 1_500, 500
"""What is shown of a part that is too long for its message: how it begins, and how it ends."""
_LABEL_LIMIT = 300
_PLAN_BYTES = 3_000
_QUESTION_BYTES = 3_000
_OPTION_LIMIT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a question ends: who asks, and how it is answered."""

    who: str
    minutes: int
    in_words: bool = False
    digest: str = ""
    """Of the whole request."""

    @property
    def request(self) -> str:
        """What the request is called."""
        return self.digest[:DIGEST_SHOWN]


@dataclass(frozen=True, slots=True)
class WholeText:
    """What does not fit into a message, as a file."""

    name: str
    mime: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """One message, and what it is about where that is longer."""

    text: str
    file: WholeText | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a request that may be long."""

    text: str
    language: str = ""
    suffix: str = "txt"
    before: str = ""

    def whole(self) -> str:
        """As a block of Markdown."""
        return f"{self.before}{fenced(self.text, self.language)}"

    def cut(self) -> str:
        """Its beginning and its end."""
        raw = self.text.encode("utf-8", "replace")
        if len(raw) <= HEAD_BYTES + TAIL_BYTES:
            return self.whole()
        head = raw[:HEAD_BYTES].decode("utf-8", "ignore")
        tail = raw[-TAIL_BYTES:].decode("utf-8", "ignore")
        middle = self.text[len(head) : len(self.text) - len(tail)]
        told = asking_words.left_out(middle.count("\n") + 1, len(middle))
        return f"{self.before}{fenced(head, self.language)}\n\n{told}\n\n{fenced(tail, self.language)}"


def tool_question(
    tool: str, tool_input: Mapping[str, Any], asking: Asking, *, scope: Scope = Scope.REQUEST
) -> Question:
    """The question whether a tool may be used, with what it asks for; ♾️ would allow so much as `scope` says."""
    say = asking_words.tool_answers_in_words if asking.in_words else asking_words.tool_answers
    answers = say(scope, tool or "?", minutes=asking.minutes, request=asking.request)
    labels, parts = _parts(tool, dict(tool_input))
    title = approval_question(_named(tool))
    text = _joined(title, *labels, *(part.whole() for part in parts), asking.who, answers)
    if _fits(text):
        return Question(text)
    long = [part for part in parts if len(part.text.encode("utf-8", "replace")) > HEAD_BYTES + TAIL_BYTES]
    name = f"{_file_name(tool)}-{asking.request or 'request'}"
    if len(long) == 1 and not any(len(label) > _LABEL_LIMIT for label in labels):
        file = WholeText(f"{name}.{long[0].suffix}", "text/plain", long[0].text)
    else:
        file = WholeText(f"{name}.md", "text/markdown", _joined(title, *labels, *(part.whole() for part in parts)))
    told = asking_words.whole_in_file(file.name)
    short = [one_line(label, _LABEL_LIMIT) if len(label) > _LABEL_LIMIT else label for label in labels]
    return Question(_joined(title, told, *short, *(part.cut() for part in parts), asking.who, answers), file)


def plan_question(plan: str, asking: Asking) -> Question:
    """The agent's plan, as the Markdown that it is, and whether it may be carried out."""
    answers = asking_words.plan_answers(minutes=asking.minutes, in_words=asking.in_words, request=asking.request)
    plan = visible(plan)
    ending = _joined(_numbered(asking_words.PLAN_OPTIONS), asking.who, answers)
    text = _joined(asking_words.PLAN_TITLE, close_open(plan), ending)
    if _fits(text):
        return Question(text)
    file = WholeText(f"plan-{asking.request or 'request'}.md", "text/markdown", plan)
    piece, rest = split_once(plan, _PLAN_BYTES)
    told = asking_words.left_out(rest.count("\n") + 1, len(rest))
    whole = asking_words.whole_in_file(file.name)
    return Question(_joined(asking_words.PLAN_TITLE, whole, piece.text, told, ending), file)


def choice_question(choice: Choice, asking: Asking, *, number: int = 1, of: int = 1) -> Question:
    """One question of the agent's own, the `number`-th `of` so many."""
    title = asking_words.choice_title(one_line(visible(choice.header), _OPTION_LIMIT), number, of)
    asked, _ = split_once(visible(choice.question), _QUESTION_BYTES)
    options = [
        f"**{label}**{f' – {told}' if told else ''}"
        for option in choice.options
        for label, told in [(_shown_option(option.label), _shown_option(option.description))]
    ]
    answers = asking_words.choice_answers(many=choice.many, minutes=asking.minutes, in_words=asking.in_words)
    previews = [
        _Part(visible(option.preview), before=f"**{place}. {_shown_option(option.label)}**\n\n")
        for place, option in enumerate(choice.options, start=1)
        if option.preview.strip()
    ]

    def shown(*looks: str) -> str:
        return _joined(title, asked.text, *looks, _numbered(options), asking.who, answers)

    whole = [part.whole() for part in previews]
    if not whole or _fits(shown(*whole)):
        return Question(shown(*whole))
    file = WholeText(f"choices-{asking.request or 'request'}.md", "text/markdown", _joined(*whole))
    return Question(shown(asking_words.whole_in_file(file.name)), file)


def choice_text(choice: Choice) -> str:
    """A question of the agent's own, to be shown again."""
    options = _numbered([_shown_option(option.label) for option in choice.options])
    text = _joined(f"❓ {split_once(visible(choice.question), _QUESTION_BYTES)[0].text}", options)
    return text if len(text) <= MOST_SHOWN_AGAIN else AS_ASKED_ABOVE


def plan_text(plan: str) -> str:
    """A plan, to be shown again; a long one by its name alone."""
    text = close_open(visible(plan))
    return f"📋 {AS_ASKED_ABOVE}" if len(text) > MOST_SHOWN_AGAIN else f"📋\n\n{text}"


def _shown_option(text: str) -> str:
    return one_line(visible(text), _OPTION_LIMIT)


def _numbered(options: Sequence[str]) -> str:
    return "\n".join(f"{number}. {option}" for number, option in enumerate(options, start=1))


def _joined(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block)


def _fits(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) <= PAGE_BYTES


def _file_name(tool: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in tool[:40]).strip("-") or "request"


def request_text(tool: str, tool_input: Mapping[str, Any]) -> str:
    """The tool and its whole input as Markdown, to be shown again; a long one by its name alone."""
    labels, parts = _parts(tool, dict(tool_input))
    text = _joined(f"🔐 {_named(tool)}", *labels, *(part.whole() for part in parts))
    if len(text) <= MOST_SHOWN_AGAIN:
        return text
    return f"🔐 {_named(tool)}\n\n{AS_ASKED_ABOVE}"


def _named(tool: str) -> str:
    return code_span(_flat(tool or "?"))


def _parts(tool: str, left: dict[str, Any]) -> tuple[list[str], list[_Part]]:
    """The input in the form that is easiest to judge. Whatever has no form of its own follows as JSON."""
    labels: list[str] = []
    parts: list[_Part] = []
    for key, label in (("description", "Description"), ("file_path", "File")):
        if _strings(left, key):
            labels.append(f"{label}: {code_span(_flat(left.pop(key)))}")
    if tool == "Bash" and _strings(left, "command"):
        parts.append(_Part(visible(left.pop("command")), "bash", "sh"))
    elif tool == "Write" and _strings(left, "content"):
        parts.append(_Part(visible(left.pop("content"))))
    elif tool == "Edit" and _strings(left, "old_string", "new_string"):
        parts.extend(_changes(left.pop("old_string"), left.pop("new_string")))
    if left or not (labels or parts):
        parts.append(_Part(visible(json.dumps(left, ensure_ascii=False, indent=2, default=str)), "json", "json"))
    return labels, parts


def _strings(values: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(values.get(key), str) for key in keys)


def _changes(old: str, new: str) -> list[_Part]:
    before, after = old.split("\n"), new.split("\n")
    if len(before) + len(after) > MOST_DIFF_LINES:
        return [_Part(visible(old), before="Before:\n\n"), _Part(visible(new), before="After:\n\n")]
    every = max(len(before), len(after))
    diff = difflib.unified_diff(before, after, "before", "after", n=every, lineterm="")
    return [_Part(visible("\n".join(diff) or "(no change)"), "diff", "diff")]


def _flat(text: str) -> str:
    """On one line, exactly."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")
