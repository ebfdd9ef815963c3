"""What is wrong with a request, in words: for whoever wrote it, and for people who read what their program was told.
Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiagentchat.gateway.problems import Trouble

MOST_SHOWN = 5
"""Mistakes of one request that are named."""

_ADDRESS = "whom it is for is written @user:server, or @user:server/instance"
_OF_FIELDS: Mapping[str, str] = {
    "to": _ADDRESS,
    "invite": "an account is written @user:server",
    "username": "a caller's name has a-z, 0-9, _ and -, at most 32 of them; an account of Matrix is none",
    "instance": "an instance's name has a-z, 0-9, ., _ and -, at most 64 of them, with a letter or digit at both ends",
    "in_reply_to": "the id of a message has letters, digits, _ and -, at most 64 of them",
    "task": "the id of a task has letters, digits, _ and -, at most 64 of them",
    "message": "the id of a message has letters, digits, _ and -, at most 64 of them",
    "thread": "a thread is named by the id of its first event, which begins with $",
    "before": "write what the page before has told",
    "Idempotency-Key": "a key has 1 to 128 letters, digits and signs of ASCII, and no blank",
    "Last-Event-ID": "write the id of an event, which is a number",
}
"""What would be right, where the shape of a text is wrong."""


def mistaken(mistakes: Sequence[Mapping[str, Any]]) -> Trouble:
    """Why the request makes no sense."""
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return Trouble("malformed", "The body is no JSON.")
    shown = [f"{_where(mistake['loc'])}: {_said(mistake)}" for mistake in mistakes[:MOST_SHOWN]]
    return Trouble("invalid", f"{'; '.join(shown)}.")


def _where(loc: Sequence[object]) -> str:
    return ".".join(str(part) for part in loc[1:]) or str(loc[0] if loc else "request")


def _said(mistake: Mapping[str, Any]) -> str:
    kind, limits = str(mistake["type"]), mistake.get("ctx") or {}
    name = next((part for part in reversed(mistake["loc"]) if isinstance(part, str)), "")
    # What is too short has a wrong shape where it is an address; elsewhere it is a text, perhaps of the same name.
    if name in _OF_FIELDS and (kind == "string_pattern_mismatch" or (kind == "string_too_short" and name == "to")):
        return _OF_FIELDS[name]
    say = _SENTENCES.get(kind)
    # What nobody has thought of is told in the words of whoever found it.
    return str(mistake["msg"]) if say is None else say(limits)


def _is(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _: text


_WHOLE = _is("write a whole number")
_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": _is("it is missing"),
    "extra_forbidden": _is("there is no such field"),
    "string_type": _is("write a text"),
    "string_unicode": _is("write a text; a half of a character is none"),
    "string_too_short": _is("it is empty"),
    "string_too_long": lambda limits: f"it is too long: at most {limits['max_length']} characters",
    "too_long": lambda limits: f"there are too many: at most {limits['max_length']}",
    "list_type": _is("write a list"),
    "model_type": _is("write an object"),
    "model_attributes_type": _is("write an object"),
    "dict_type": _is("write an object"),
    "bool_type": _is("write true or false"),
    "bool_parsing": _is("write true or false"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "greater_than_equal": lambda limits: f"it must be at least {limits['ge']}",
    "less_than_equal": lambda limits: f"it must be at most {limits['le']}",
    "literal_error": lambda limits: f"it must be {limits['expected']}",
    "enum": lambda limits: f"it must be {limits['expected']}",
}
