"""The agent's own commands that can be run from a room. Pure.

A fixed list: others would change how it is held, or read what nobody has shown it.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiagentchat.core.models import DEFAULT, meant

OWN: Mapping[str, str] = {
    "compact": "makes the conversation shorter, and goes on in it",
    "context": "says what fills the context window",
    "cost": "says what the conversation has cost",
    "clear": "leaves the conversation",
    "model": "says which model it uses, or takes another one until its process ends",
}
"""What each does."""
MODEL = "model"

_CLOSE_ENOUGH = 0.6


@dataclass(frozen=True, slots=True)
class OwnCommand:
    """What somebody wants who types `/agent` and something."""

    own: str = ""
    """The command, as the agent takes it, without its slash; empty: there is no such one."""
    changes_model: bool = False
    nearest: str = ""
    """A name that is like it, where there is no such one."""


def own_command(typed: str, configured: Collection[str] = ()) -> OwnCommand:
    """Only `model` takes something behind it: a model that one may also set with `/model`."""
    name, _, rest = typed.strip().removeprefix("/").partition(" ")
    name, rest = name.lower(), rest.strip()
    if name not in OWN:
        return OwnCommand(nearest=next(iter(difflib.get_close_matches(name, OWN, n=1, cutoff=_CLOSE_ENOUGH)), ""))
    if not rest:
        return OwnCommand(name)
    model = meant(rest, configured)
    if name != MODEL or model.model is None:
        return OwnCommand(nearest=f"{name} {model.nearest or DEFAULT}" if name == MODEL else name)
    return OwnCommand(f"{name} {model.model}", changes_model=True)
