"""An answer while it grows: which messages and edits show its present state. Pure.

One message is edited while text comes; before it is too long a new one begins. Pages that are full are never touched
again, so the text of all pages, in order, is the whole answer, once.
"""

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.render.fences import close_open
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.split import LEAST_LIMIT, split_once

MAX_EDITS = 60
"""Edits of one message at most: each is an event of its own that the homeserver keeps in full."""

_PARAGRAPH = "\n\n"
_LINE_BREAK = "  \n"


class Answer:
    """The text of one turn, cut into pages, each of which is one message."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._page = 0
        self._edits = 0
        self._put = ""
        """The page's text as it was last handed out."""
        self._text = ""
        self._final = 0
        """How many characters of `_text` will not be taken back."""
        self._in_block = False
        self._after_tool = False
        self.silent = True
        """Whether the agent has not said a word yet."""

    @property
    def edits(self) -> int:
        """How often the present message was edited."""
        return self._edits

    def add(self, text: str) -> None:
        """More of what the agent says."""
        if not self._in_block:
            self._text += _PARAGRAPH if self._text else ""
            self._in_block, self._after_tool = True, False
        self._text += text
        self.silent = False

    def tool(self, line: str) -> None:
        """One quiet line about a tool; lines in a row stand together."""
        self.block_ended()
        between = _LINE_BREAK if self._after_tool else _PARAGRAPH
        self._text += (between if self._text else "") + line
        self._final, self._after_tool = len(self._text), True

    def block_ended(self) -> None:
        """What was added is final."""
        self._final, self._in_block = len(self._text), False

    def retract(self) -> None:
        """Take back what is not final. What has left the page stays: a page that is full is never touched again."""
        self._text, self._in_block = self._text[: self._final], False

    def flush(self) -> list[Parcel]:
        """The parcels that bring the room up to date."""
        parcels = self._full_pages()
        if self._edits >= MAX_EDITS - 1 and self._text != self._put:
            # One edit is kept for the end: go on in a new message, at the best border there is.
            parcels += self._turn_over(max(LEAST_LIMIT, len(self._text.encode("utf-8", "replace")) - 1))
        return parcels + self._show(close_open(self._text), notice=self._page > 0)

    def break_off(self) -> list[Parcel]:
        """Bring the room up to date, and go on in a new message."""
        parcels = self.flush()
        if self._text:
            self._next("")
        return parcels

    def close(self, last_words: str, footer: str) -> list[Parcel]:
        """The end of the answer; the last message rings, as the first one did."""
        self.block_ended()
        for text in (last_words, footer):
            if text:
                self._text += (_PARAGRAPH if self._text else "") + text
        return [*self._full_pages(), *self._show(self._text, notice=False)]

    def _full_pages(self) -> list[Parcel]:
        parcels: list[Parcel] = []
        while len(self._text.encode("utf-8", "replace")) > PAGE_BYTES:
            parcels += self._turn_over(PAGE_BYTES)
        return parcels

    def _turn_over(self, limit: int) -> list[Parcel]:
        piece, rest = split_once(self._text, limit)
        parcels = self._show(piece.text, notice=self._page > 0)
        not_final = len(self._text) - self._final
        self._next(rest)
        self._final = max(0, len(rest) - not_final)
        return parcels

    def _next(self, rest: str) -> None:
        self._page += 1
        self._edits, self._put = 0, ""
        self._text, self._final = rest, len(rest)
        self._in_block, self._after_tool = self._in_block and bool(rest), self._after_tool and bool(rest)

    def _show(self, text: str, *, notice: bool) -> list[Parcel]:
        shown = f"{int(notice)}{text}"
        if not text.strip() or shown == self._put:
            return []
        first = txn_id(self._command.event, "page", str(self._page))
        self._edits += bool(self._put)
        content = message(text, notice=notice, reply_to=self._command.event if self._page == 0 else None)
        parcel = Parcel(
            txn=txn_id(first, "edit", str(self._edits)) if self._put else first,
            room=self._command.room,
            content=content,
            edits=first if self._put else None,
            command=self._command.event,
        )
        self._put = shown
        return [parcel]
