"""Decides what is final and what may still change, and puts one picture together. Pure."""

from collections import deque
from dataclasses import dataclass

from aiagentchat.cli.chat.editor import Editor, layout
from aiagentchat.cli.chat.paint import PROMPT, Painter
from aiagentchat.cli.chat.screen import Frame
from aiagentchat.cli.chat.timeline import Message, Timeline
from aiagentchat.core.ids import EventId

UNANSWERED_SECONDS = 3.0
"""How long one's own message waits for somebody to take it as a command, before it counts as mere talk."""
MOST_TYPED_ROWS = 8
MOST_KEPT = 200
"""Messages that are drawn again when the size of the terminal changes."""
REASON_PROMPT = "why not › "


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottom:
    """What stands below the messages."""

    editor: Editor
    status: str
    bad: bool = False
    """Whether `status` is about something that went wrong."""
    question: Message | None = None
    """What can be answered with a key now."""
    reason: bool = False
    """Whether the reason of a denial is typed."""


class View:
    """Knows what has left the live part for good."""

    def __init__(self, painter: Painter, timeline: Timeline) -> None:
        self._painter = painter
        self._timeline = timeline
        self._first_seen: dict[EventId, float] = {}
        self._settled: dict[EventId, tuple[str, str]] = {}
        """With the text and the outcome that were shown."""
        self._kept: deque[Message] = deque(maxlen=MOST_KEPT)
        self._cache: dict[EventId, tuple[object, list[str]]] = {}

    def begin(self) -> None:
        """What is there now is history: nobody waits for it any more."""
        self._first_seen = {message.id: -UNANSWERED_SECONDS for message in self._timeline.messages}

    def frame(self, bottom: Bottom, size: tuple[int, int], now: float) -> Frame:
        """The next picture."""
        width, rows = size[0] - 1, size[1]
        below, row, column = self._below(bottom, width, rows)
        room = rows - len(below) - 1
        settled = self._news_of_settled(width)
        live: list[tuple[Message, list[str]]] = []
        before: Message | None = self._kept[-1] if self._kept else None
        for message in self._timeline.messages:
            if message.id in self._settled:
                continue
            lines = self._lines(message, before, width)
            before = message
            if not live and self._is_final(message, now):
                settled += self._settle(message, lines)
            else:
                live.append((message, lines))
        while live and (len(live) > 1 or live[0][0].asks) and sum(len(lines) for _, lines in live) > room:
            settled += self._settle(*live.pop(0))
        shown = [line for _, lines in live for line in lines]
        if len(shown) > room:
            cut = self._painter.status(f"… {len(shown) - room + 1} lines more, whole at the end", width)
            shown = [cut, *shown[len(shown) - room + 1 :]]
        return Frame(settled=settled, live=[*shown, *below], row=len(shown) + row, column=column)

    def last(self, size: tuple[int, int]) -> Frame:
        """What is left to say when the chat is left."""
        settled: list[str] = []
        for message in self._timeline.messages:
            if message.id not in self._settled:
                before = self._kept[-1] if self._kept else None
                settled += self._settle(message, self._lines(message, before, size[0] - 1))
        return Frame(settled=settled, live=[""])

    def again(self, size: tuple[int, int], rows: int) -> list[str]:
        """The newest of what is final, as much as fits into so many rows."""
        before: Message | None = None
        lines: list[str] = []
        for message in self._kept:
            lines += self._lines(message, before, size[0] - 1)
            before = message
        return lines[-rows:] if rows > 0 else []

    def _below(self, bottom: Bottom, width: int, rows: int) -> tuple[list[str], int, int]:
        lines: list[str] = []
        if bottom.question:
            ready = not bottom.editor.text and not bottom.reason
            if not bottom.reason:
                lines += self._painter.question(bottom.question.sender, ready=ready, width=width)
        lines.append(self._painter.status(bottom.status, width, bad=bottom.bad))
        prompt = REASON_PROMPT if bottom.reason else PROMPT
        typed, row, column = layout(bottom.editor.text, bottom.editor.cursor, width - len(prompt))
        most = min(MOST_TYPED_ROWS, rows // 3)
        first = max(0, min(row - most + 1, len(typed) - most)) if len(typed) > most else 0
        shown = typed[first : first + most]
        margin = [prompt, *[" " * len(prompt)] * (len(shown) - 1)]
        top = len(lines)
        return [*lines, *map("".join, zip(margin, shown, strict=True))], top + row - first, len(prompt) + column

    def _is_final(self, message: Message, now: float) -> bool:
        timeline = self._timeline
        if timeline.works_on(message):
            return False
        if message.sender != timeline.me:
            return not timeline.is_at_work(message.sender)
        seen = self._first_seen.setdefault(message.id, now)
        return bool(timeline.outcome(message)) or now - seen >= UNANSWERED_SECONDS

    def _settle(self, message: Message, lines: list[str]) -> list[str]:
        self._settled[message.id] = message.body, self._timeline.outcome(message)
        self._kept.append(message)
        self._cache.pop(message.id, None)
        return lines

    def _news_of_settled(self, width: int) -> list[str]:
        """What was drawn already cannot be changed; what became of it is said below."""
        lines: list[str] = []
        for message in self._kept:
            body, outcome = self._settled[message.id]
            if message.body != body:
                lines += self._lines(message, None, width)
            elif (now := self._timeline.outcome(message)) != outcome:
                lines += self._painter.outcome(message, now, width)
            self._settled[message.id] = message.body, self._timeline.outcome(message)
        return lines

    def _lines(self, message: Message, before: Message | None, width: int) -> list[str]:
        headed = before is None or before.sender != message.sender
        key = message.body, headed, width, sorted((key, len(who)) for key, who in message.reactions.items())
        known = self._cache.get(message.id)
        if known is None or known[0] != key:
            known = key, self._painter.message(message, self._timeline, width, headed=headed)
            self._cache[message.id] = known
        return known[1]
