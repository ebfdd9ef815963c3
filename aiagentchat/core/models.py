"""Which models somebody can mean. Pure.

Claude Code takes any name, and the model's API decides (evidence: CLI 2.1.329): a slip would only be seen when the next
turn fails. So a name is taken that the program has a word for, that config.yaml has, or that is a whole id.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

DEFAULT = "default"
"""What config.yaml says."""
ALIASES = ("sonnet", "opus", "haiku", "fable", "best", "sonnet[1m]", "opus[1m]", "fable[1m]", "opusplan")
"""The names that the program knows by itself, as it lists them (CLI 2.1.329, `/model`)."""

_WHOLE = re.compile(r"(?=.*claude-)[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}(?:\[1m\])?", re.ASCII)
_CLOSE_ENOUGH = 0.6


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody means who types a model."""

    model: str | None = None
    nearest: str = ""
    """Where none is meant: the name that is most like it, if one is."""


def meant(typed: str, configured: Collection[str]) -> Meant:
    """The model that is meant by `typed`; `configured` are names that the operator has chosen."""
    known = {name.lower(): name for name in (DEFAULT, *ALIASES, *configured)}
    if typed.lower() in known:
        return Meant(known[typed.lower()])
    if _WHOLE.fullmatch(typed):
        return Meant(typed)
    close = difflib.get_close_matches(typed.lower(), known, n=1, cutoff=_CLOSE_ENOUGH)
    return Meant(nearest=known[close[0]] if close else "")
