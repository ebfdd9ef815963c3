"""What somebody's words, or a reaction, answer to the question that they are about. Pure.

What is not certainly a yes is none: a question stays open rather than to be answered by a misunderstanding.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.approvals import Approval, ApprovalKind, Picked, PlanAnswer
from aiagentchat.render import asking_words
from aiagentchat.render.asking_words import ALWAYS_WORDS, POLITE_WORDS
from aiagentchat.render.words import NO_WORDS, YES_WORDS

YES = frozenset({"✅", "☑", "✔", "👍"})
NO = frozenset({"❌", "✖", "👎"})
ALWAYS = frozenset({"♾"})
NUMBERS = tuple(f"{number}\u20e3" for number in range(1, 10))
"""1⃣ to 9⃣, without their variation selectors."""

_VARIATION_SELECTORS = dict.fromkeys(range(0xFE00, 0xFE10))
_SKIN_TONES = dict.fromkeys(range(0x1F3FB, 0x1F400))
_FIRST_WORD = re.compile(r"(\w+)[\s.,;:!–—-]*", re.DOTALL)
_BETWEEN_NUMBERS = re.compile(r"\s*(?:,|;|\+|&|\s|\band\b)\s*")
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_ENDS = ".!)"


@dataclass(frozen=True, slots=True)
class Yes:
    """It is allowed, or goes on."""

    always: bool = False
    picked: Picked | None = None


@dataclass(frozen=True, slots=True)
class No:
    """It is not."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Meant as an answer, and none: nothing is decided, and the room reads why."""

    told: str


Answer: TypeAlias = Yes | No | Unclear


def plain(key: str) -> str:
    """A reaction's key in the form in which it is looked up."""
    return key.translate(_VARIATION_SELECTORS).translate(_SKIN_TONES)


def is_one_word(text: str) -> bool:
    """Whether a reply can be nothing else than the answer to a question."""
    is_word = _tidy(text) in (*YES_WORDS, *NO_WORDS, *ALWAYS_WORDS)
    return is_word or plain(text.strip()) in YES | NO | ALWAYS or _numbers(text) is not None


def in_words(asked: Approval, text: str) -> Answer | None:
    """What a reply to the question says; None: it is a message as any other."""
    sign = plain(text.strip())
    if sign in YES | NO | ALWAYS:
        is_yes_to_choices = asked.kind is ApprovalKind.CHOICE and sign not in NO
        return Unclear(asking_words.CHOOSE_A_NUMBER) if is_yes_to_choices else by_reaction(asked, sign)
    match asked.kind:
        case ApprovalKind.TOOL:
            return _about_tool(asked, text)
        case ApprovalKind.CHOICE:
            return _about_choice(asked, text)
        case ApprovalKind.PLAN:
            return _about_plan(text)
        case _:
            said = _tidy(text)
            if said in YES_WORDS:
                return Yes()
            return No() if said in NO_WORDS else None


def by_reaction(asked: Approval, key: str, ticked: Collection[str] = ()) -> Answer | None:
    """What a reaction on the question says, by somebody who has put all of `ticked` on it; None: nothing (yet)."""
    key = plain(key)
    if key in NO:
        return No()
    match asked.kind:
        case ApprovalKind.CHOICE:
            return _tapped(asked, key, ticked)
        case ApprovalKind.PLAN:
            if key in YES:
                return _plan(PlanAnswer.CARRY_OUT)
            number = _number_of(key)
            return _plan(PlanAnswer(number)) if number in set(PlanAnswer) else None
        case ApprovalKind.TOOL if key in ALWAYS:
            return Yes(always=True) if asked.rule is not None else Unclear(asking_words.NO_ALWAYS)
        case _:
            return Yes() if key in YES else None


def _about_tool(asked: Approval, text: str) -> Answer:
    word, rest = _first_word(text)
    if word in NO_WORDS:
        return No(rest)
    if word in ALWAYS_WORDS or (word in YES_WORDS and _tidy(rest) in ALWAYS_WORDS):
        if word in ALWAYS_WORDS and _tidy(rest) not in ("", *POLITE_WORDS):
            return Unclear(asking_words.YES_AND_MORE)
        return Yes(always=True) if asked.rule is not None else Unclear(asking_words.NO_ALWAYS)
    if word in YES_WORDS:
        return Yes() if _tidy(rest) in ("", *POLITE_WORDS) else Unclear(asking_words.YES_AND_MORE)
    return _reason(text)


def _reason(text: str) -> Answer:
    """Words that begin neither with a yes nor with a no. One alone may be either, in a language that we do not know."""
    return No(text.strip()) if len(text.split()) > 1 else Unclear(asking_words.NEITHER_YES_NOR_NO)


def _about_choice(asked: Approval, text: str) -> Answer:
    said = _tidy(text)
    for number, option in enumerate(asked.options, start=1):
        if said == _tidy(option):
            return Yes(picked=Picked((number,)))
    numbers = _numbers(text)
    if numbers is None:
        return Yes(picked=Picked(text=text.strip()))
    if max(numbers) > len(asked.options) or (len(numbers) > 1 and not asked.many):
        return Unclear(asking_words.no_such_choice(len(asked.options), many=asked.many))
    return Yes(picked=Picked(numbers))


def _tapped(asked: Approval, key: str, ticked: Collection[str]) -> Answer | None:
    if not asked.many:
        if key in YES:
            return Unclear(asking_words.CHOOSE_A_NUMBER)
        number = _number_of(key)
        return Yes(picked=Picked((number,))) if 0 < number <= len(asked.options) else None
    if key not in YES:
        return None  # a tick, which the inbox keeps until the ✅ comes
    numbers = sorted({number for each in ticked if 0 < (number := _number_of(plain(each))) <= len(asked.options)})
    return Yes(picked=Picked(tuple(numbers))) if numbers else Unclear(asking_words.TICK_FIRST)


def _about_plan(text: str) -> Answer:
    word, rest = _first_word(text)
    if word in (*YES_WORDS, str(PlanAnswer.CARRY_OUT.value), str(PlanAnswer.ACCEPT_EDITS.value)):
        if _tidy(rest) not in ("", *POLITE_WORDS):
            return Unclear(asking_words.YES_AND_MORE)
        return _plan(PlanAnswer(int(word)) if word.isdigit() else PlanAnswer.CARRY_OUT)
    if word in (*NO_WORDS, str(PlanAnswer.KEEP_PLANNING.value)):
        return No(rest)
    return _reason(text)


def _plan(answer: PlanAnswer) -> Answer:
    return No() if answer is PlanAnswer.KEEP_PLANNING else Yes(picked=Picked((answer.value,)))


def _first_word(text: str) -> tuple[str, str]:
    """In small letters, and what follows it."""
    match = _FIRST_WORD.match(text.strip())
    return (match[1].lower(), text.strip()[match.end() :].strip()) if match else ("", text.strip())


def _tidy(text: str) -> str:
    return text.strip().lower().rstrip(_ENDS)


def _numbers(text: str) -> tuple[int, ...] | None:
    """All that the text says, if that is numbers."""
    said = _BETWEEN_NUMBERS.split(plain(_tidy(text)).replace("\u20e3", ""))
    return tuple(dict.fromkeys(map(int, said))) if all(_NUMBER.fullmatch(each) for each in said) else None


def _number_of(key: str) -> int:
    """0 if it is none."""
    return NUMBERS.index(key) + 1 if key in NUMBERS else 0
