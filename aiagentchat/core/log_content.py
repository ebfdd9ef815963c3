"""What is said in a room, on its way into a log line: nothing of it, unless the room's settings say so. Pure.

Whoever logs hands a `Said` over and does not look at the setting; the log's last processor asks it what may be shown.
What does not know it prints its `repr`, which says nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.redact import Redactor, marked

PREVIEW_CHARACTERS = 80
FULL_CHARACTERS = 32_768
"""Of one text in one line: with everything escaped it still is below what Loki takes as a line (262,144 bytes)."""
_LOOKED_AT = 4_096
"""Of a text of which a preview is made."""
_LONGEST_SECRET = 32_768
"""What is shown is cut where no secret of this length can be cut in two."""


class LogContent(StrEnum):
    """How much of what people type and the agent answers is in the log."""

    NONE = "none"
    PREVIEW = "preview"
    """Its first characters, on one line."""
    FULL = "full"


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """A text, and how much of it the room's settings let into the log."""

    text: str
    wish: LogContent = LogContent.NONE

    def __repr__(self) -> str:
        return "(not shown)"

    def shown(self, redactor: Redactor) -> str | None:
        """What the line has; None: not even the field. Secrets are hidden before anything is cut off."""
        if self.wish is LogContent.NONE or not self.text.strip():
            return None
        most = _LOOKED_AT if self.wish is LogContent.PREVIEW else FULL_CHARACTERS
        near = self.text[: most + _LONGEST_SECRET]
        safe = marked(near, redactor.spans(near), 0, min(most, len(near)))
        if self.wish is LogContent.FULL:
            return safe if len(self.text) <= most else f"{safe}…"
        line = " ".join(safe.split())
        is_cut = len(line) > PREVIEW_CHARACTERS or len(self.text) > most
        return f"{line[:PREVIEW_CHARACTERS]}…" if is_cut else line


class Gathered:
    """The beginning of what is said in pieces, of which some are taken back."""

    def __init__(self) -> None:
        self._final = self._open = ""

    @property
    def text(self) -> str:
        """What was said and not taken back."""
        return self._final + self._open

    def add(self, text: str) -> None:
        """Some more."""
        room = FULL_CHARACTERS + _LONGEST_SECRET - len(self._final) - len(self._open)
        self._open += text[: max(room, 0)]

    def keep(self) -> None:
        """What was added is final."""
        self._final, self._open = self.text, ""

    def drop(self) -> None:
        """What was added since is taken back."""
        self._open = ""
