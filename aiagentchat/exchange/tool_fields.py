"""What a tool takes: one declaration, from which both its JSON schema and its check are made. Pure.

Whoever calls a tool may give it anything. What does not fit is answered with a sentence that says what would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiagentchat.render.hygiene import clean, one_line, visible

MOST_SHOWN = 40
"""Characters of somebody's argument that are shown back."""
MOST_NAME = 400
"""Characters of an id, a name or an address."""


class WrongArgumentError(Exception):
    """It does not fit. `str(error)` is for whoever gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One argument of a tool."""

    about: str
    type: Literal["string", "integer", "boolean"] = "string"
    required: bool = False
    least: int = 1
    most: int = MOST_NAME
    """Of a text, its characters; of a number, the number."""
    choices: tuple[str, ...] = ()
    only: Literal["", "run", "session"] = ""
    """Whether it is there for runs alone, or for all but them."""

    def schema(self) -> dict[str, Any]:
        """Its part of the tool's schema."""
        said: dict[str, Any] = {"type": self.type, "description": self.about}
        if self.type == "integer":
            said |= {"minimum": self.least, "maximum": self.most}
        if self.choices:
            said["enum"] = list(self.choices)
        return said

    def take(self, name: str, value: object) -> str | int | bool:
        """The value. Raises WrongArgumentError."""
        if self.type == "boolean":
            if isinstance(value, bool):
                return value
            raise WrongArgumentError(f"`{name}` must be true or false.")
        return self._number(name, value) if self.type == "integer" else self._text(name, value)

    def _number(self, name: str, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return value
        raise WrongArgumentError(f"`{name}` must be a whole number from {self.least} to {self.most}.")

    def _text(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise WrongArgumentError(f"`{name}` must be a text.")
        if len(value) > self.most:
            raise WrongArgumentError(f"`{name}` is too long: at most {self.most} characters.")
        text = clean(value)
        if not text.strip():
            raise WrongArgumentError(f"`{name}` is empty.")
        if self.choices and text not in self.choices:
            raise WrongArgumentError(f"`{name}` must be one of: {', '.join(self.choices)}.")
        return text


Fields = Mapping[str, Field]


def schema_of(fields: Fields) -> dict[str, Any]:
    """The schema of a tool with these arguments."""
    said: dict[str, Any] = {"type": "object", "properties": {name: field.schema() for name, field in fields.items()}}
    required = [name for name, field in fields.items() if field.required]
    if required:
        said["required"] = required
    return {**said, "additionalProperties": False}


def take(fields: Fields, given: object) -> dict[str, Any]:
    """The arguments as they are declared; what was not given, or null, is not in it. Raises WrongArgumentError."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise WrongArgumentError("The arguments must be an object.")
    strange = next((name for name in given if name not in fields), None)
    if strange is not None:
        known = ", ".join(f"`{name}`" for name in fields) or "none at all"
        raise WrongArgumentError(f"There is no argument `{shown(strange)}`. It takes {known}.")
    taken = {name: fields[name].take(name, value) for name, value in given.items() if value is not None}
    missing = next((name for name, field in fields.items() if field.required and name not in taken), None)
    if missing is not None:
        raise WrongArgumentError(f"`{missing}` is missing.")
    return taken


def shown(value: object) -> str:
    """Somebody's word, short and harmless."""
    return visible(one_line(str(value)[: 2 * MOST_SHOWN], MOST_SHOWN)).replace("`", "'")
