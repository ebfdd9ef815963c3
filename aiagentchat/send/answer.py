"""An answer while it grows: which messages and edits show its present state. Pure.

One message is edited while text comes; before it is too long a new one begins. Pages that are full are never touched
again, so the text of all pages, in order, is the whole answer, once.

What goes on while nothing is said stands below it, and gives way to the next word. Where there is nothing yet for it to
stand below, it is a quiet message of its own, so that the first words still are a new message, which rings.
"""

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Parcel, Urgency
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
        """The page as it was last handed out; empty before the first time."""
        self._text = ""
        self._final = 0
        """How many characters of `_text` will not be taken back."""
        self._in_block = False
        self._after_tool = False
        self._progress = ""
        self._aside = ""
        """The progress as it was last put into a message of its own, on this page."""
        self._aside_edits = 0
        self.silent = True
        """Whether the agent has not said a word yet."""

    @property
    def in_block(self) -> bool:
        """Whether more of what was added last is to come."""
        return self._in_block

    @property
    def edits(self) -> int:
        """How often the present message was edited."""
        return self._edits

    def add(self, text: str) -> None:
        """More of what the agent says."""
        if not text:
            return
        if not self._in_block:
            self._leave(_PARAGRAPH)
            self._in_block, self._after_tool = True, False
        self._text += text
        self._progress = ""
        self.silent = False

    def tool(self, line: str) -> None:
        """One quiet line about a tool; lines in a row stand together."""
        self.block_ended()
        self._leave(_LINE_BREAK if self._after_tool else _PARAGRAPH)
        self._text += line
        self._progress = ""
        self._final, self._after_tool = len(self._text), True

    def progress(self, line: str) -> None:
        """What goes on while nothing is said: in one line, which takes the place of the last one."""
        self._progress = line

    def block_ended(self) -> None:
        """What was added is final."""
        self._final, self._in_block = len(self._text), False

    def retract(self) -> None:
        """Take back what is not final. What has left the page stays: a page that is full is never touched again."""
        self._text, self._in_block = self._text[: self._final], False

    def flush(self) -> list[Parcel]:
        """The parcels that bring the room up to date."""
        return self._up_to_date(Urgency.PROGRESS)

    def _up_to_date(self, urgency: Urgency) -> list[Parcel]:
        parcels = self._full_pages(urgency)
        if self._edits >= MAX_EDITS - 1 and _shown(close_open(self._text), notice=self._page > 0) != self._put:
            # One edit is kept for the end: go on in a new message, at the best border there is.
            parcels += self._turn_over(max(LEAST_LIMIT, len(self._text.encode("utf-8", "replace")) - 1), urgency)
        if self._progress and not self._text and not self._put:
            return parcels + self._show_aside()
        return parcels + self._show(self._with_progress(), urgency, notice=self._page > 0)

    def _with_progress(self) -> str:
        text = close_open(self._text)
        # The edit that takes it away again must not be the last one, after which a new message would begin.
        if not self._progress or self._edits >= MAX_EDITS - 2:
            return text
        return f"{text}{_PARAGRAPH}{self._progress}" if text else self._progress

    def _show_aside(self) -> list[Parcel]:
        if self._progress == self._aside or self._aside_edits >= MAX_EDITS:
            return []
        first = txn_id(self._command.event, "progress", str(self._page))
        self._aside_edits += bool(self._aside)
        parcel = Parcel(
            txn=txn_id(first, "edit", str(self._aside_edits)) if self._aside else first,
            room=self._command.room,
            content=message(self._progress, notice=True),
            edits=first if self._aside else None,
            command=self._command.event,
            urgency=Urgency.PROGRESS,
        )
        self._aside = self._progress
        return [parcel]

    def break_off(self) -> list[Parcel]:
        """Bring the room up to date, and go on in a new message."""
        self._progress = ""
        parcels = self._up_to_date(Urgency.NEEDED)
        if self._put:
            self._next("")
        return parcels

    def close(self, last_words: str, footer: str) -> list[Parcel]:
        """The end of the answer; the last message rings, as the first one did."""
        self._progress = ""
        for text in filter(None, (last_words, footer)):
            self._leave(_PARAGRAPH)
            self._text += text
        needed = Urgency.NEEDED
        return [*self._full_pages(needed), *self._show(close_open(self._text), needed, notice=False)]

    def _leave(self, between: str) -> None:
        """End what was said so far: a fence that it left open must not swallow what follows."""
        if self._text:
            self._text = close_open(self._text) + between

    def _full_pages(self, urgency: Urgency) -> list[Parcel]:
        parcels: list[Parcel] = []
        while _is_over(self._text, PAGE_BYTES):
            parcels += self._turn_over(PAGE_BYTES, urgency)
        return parcels

    def _turn_over(self, limit: int, urgency: Urgency) -> list[Parcel]:
        piece, rest = split_once(self._text, limit)
        parcels = self._show(piece.text, urgency, notice=self._page > 0)
        left = len(piece.source)
        reopened = len(rest) - (len(self._text) - left)
        self._final = self._final - left + reopened if self._final > left else 0
        self._next(rest)
        return parcels

    def _next(self, rest: str) -> None:
        self._page += 1
        self._edits, self._put = 0, ""
        self._aside, self._aside_edits = "", 0
        self._text, self._final = rest, min(self._final, len(rest))
        self._in_block, self._after_tool = self._in_block and bool(rest), self._after_tool and bool(rest)

    def _show(self, text: str, urgency: Urgency, *, notice: bool) -> list[Parcel]:
        shown = _shown(text, notice=notice)
        if not text.strip() or shown == self._put:
            return []
        first = txn_id(self._command.event, "page", str(self._page))
        self._edits += bool(self._put)
        content = message(text, notice=notice, reply_to=self._command.shown_at if self._page == 0 else None)
        parcel = Parcel(
            txn=txn_id(first, "edit", str(self._edits)) if self._put else first,
            room=self._command.room,
            content=content,
            edits=first if self._put else None,
            command=self._command.event,
            urgency=urgency,
        )
        self._put = shown
        return [parcel]


def _shown(text: str, *, notice: bool) -> str:
    """What two states of a message are compared by."""
    return f"{int(notice)}{text}"


def _is_over(text: str, limit: int) -> bool:
    """Whether `text` takes more than `limit` bytes; a long text is not encoded to find out."""
    return len(text) > limit or len(text.encode("utf-8", "replace")) > limit
