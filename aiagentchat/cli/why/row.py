"""One line of the story."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that happened."""

    at: int | None
    """Milliseconds since the epoch; None: nobody knows when."""
    what: str
    more: str = ""
    text: str = ""
    """What somebody wrote."""
