"""Decides what is final and what may still change, and puts one picture together. Pure."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from aiagentchat.cli.chat.editor import Editor, layout
from aiagentchat.cli.chat.paint import PROMPT, Painter
from aiagentchat.cli.chat.screen import Frame
from aiagentchat.cli.chat.timeline import Message, Timeline
from aiagentchat.core.ids import EventId, UserId

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
    members: Collection[UserId] = ()
    """Who is in the room, if somebody wants to know."""


@dataclass(slots=True)
class _Block:
    """What stands above the live part, from one message."""

    message: Message | None
    """None: it only tells what became of one further above."""
    before: Message | None
    lines: list[str]


class View:
    """Knows what has left the live part for good."""

    def __init__(self, painter: Painter, timeline: Timeline) -> None:
        self._painter = painter
        self._timeline = timeline
        self._first_seen: dict[EventId, float] = {}
        self._settled: dict[EventId, tuple[str, str]] = {}
        """With the text and the outcome that were shown."""
        self._kept: deque[Message] = deque(maxlen=MOST_KEPT)
        self._blocks: deque[_Block] = deque(maxlen=MOST_KEPT)
        """What was drawn above the live part, as it stands there."""
        self._live_rows = 0
        self._cache: dict[EventId, tuple[object, list[str]]] = {}

    def begin(self) -> None:
        """What is there now is history: nobody waits for it any more."""
        self._first_seen = {message.id: -UNANSWERED_SECONDS for message in self._timeline.messages}

    def frame(self, bottom: Bottom, size: tuple[int, int], now: float) -> Frame:
        """The next picture."""
        width, rows = size[0] - 1, size[1]
        below, row, column = self._below(bottom, width, rows)
        room = rows - len(below) - 1
        back, settled = self._news_of_settled(width, rows - self._live_rows)
        live: list[tuple[Message, list[str]]] = []
        before = self._before()
        for message in self._timeline.messages:
            if message.id in self._settled:
                continue
            lines = self._lines(message, before, width)
            before = message
            if not live and self._is_final(message, now):
                settled += self._settle(message, lines, self._before())
            else:
                live.append((message, lines))
        while live and (len(live) > 1 or live[0][0].asks) and sum(len(lines) for _, lines in live) > room:
            settled += self._settle(*live.pop(0), self._before())
        shown = [line for _, lines in live for line in lines]
        if len(shown) > room:
            cut = self._painter.status(f"… {len(shown) - room + 1} lines more, whole at the end", width)
            shown = [cut, *shown[len(shown) - room + 1 :]]
        self._live_rows = len(shown) + len(below)
        return Frame(settled=settled, back=back, live=[*shown, *below], row=len(shown) + row, column=column)

    def last(self, size: tuple[int, int]) -> Frame:
        """What is left to say when the chat is left."""
        settled: list[str] = []
        for message in self._timeline.messages:
            if message.id not in self._settled:
                before = self._before()
                settled += self._settle(message, self._lines(message, before, size[0] - 1), before)
        return Frame(settled=settled, live=[""])

    def again(self, size: tuple[int, int], rows: int) -> list[str]:
        """The newest of what is final, as much as fits into so many rows."""
        self._blocks.clear()
        before: Message | None = None
        lines: list[str] = []
        for message in self._kept:
            drawn = self._lines(message, before, size[0] - 1)
            self._blocks.append(_Block(message, before, drawn))
            lines += drawn
            before = message
        return lines[-rows:] if rows > 0 else []

    def _below(self, bottom: Bottom, width: int, rows: int) -> tuple[list[str], int, int]:
        lines = self._painter.members(bottom.members, width)[: max(0, rows // 2)] if bottom.members else []
        if bottom.question:
            ready = not bottom.editor.text and not bottom.reason
            if not bottom.reason:
                lines += self._painter.question(bottom.question, ready=ready, width=width)
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

    def _before(self) -> Message | None:
        return self._kept[-1] if self._kept else None

    def _settle(self, message: Message, lines: list[str], before: Message | None) -> list[str]:
        self._settled[message.id] = message.body, self._timeline.outcome(message)
        self._kept.append(message)
        self._blocks.append(_Block(message, before, lines))
        self._cache.pop(message.id, None)
        return lines

    def _news_of_settled(self, width: int, reach: int) -> tuple[int, list[str]]:
        """How many of the lines above are to be replaced, and by what.

        What is no further above than `reach` changes in its place. What has left the screen cannot be changed; what
        became of it is said below.
        """
        changed = {
            message.id: self._settled[message.id]
            for message in self._kept
            if self._settled[message.id] != (message.body, self._timeline.outcome(message))
        }
        if not changed:
            return 0, []
        back, first, rows = 0, len(self._blocks), 0
        for place in reversed(range(len(self._blocks))):
            block = self._blocks[place]
            rows += len(block.lines)
            if rows > reach:
                break
            if block.message is not None and changed.pop(block.message.id, None) is not None:
                back, first = rows, place
        lines: list[str] = []
        for place in range(first, len(self._blocks)):
            block = self._blocks[place]
            if block.message is not None:
                block.lines = self._lines(block.message, block.before, width)
            lines += block.lines
        return back, lines + self._said_below(changed, width)

    def _said_below(self, changed: dict[EventId, tuple[str, str]], width: int) -> list[str]:
        lines: list[str] = []
        for message in self._kept:
            now = self._timeline.outcome(message)
            before = changed.get(message.id)
            self._settled[message.id] = message.body, now
            if before is None:
                continue
            is_edited = message.body != before[0]
            said = self._lines(message, None, width) if is_edited else self._painter.outcome(message, now, width)
            self._blocks.append(_Block(None, None, said))
            lines += said
        return lines

    def _lines(self, message: Message, before: Message | None, width: int) -> list[str]:
        headed = before is None or before.sender != message.sender
        key = message.body, headed, width, sorted((key, len(who)) for key, who in message.reactions.items())
        known = self._cache.get(message.id)
        if known is None or known[0] != key:
            known = key, self._painter.message(message, self._timeline, width, headed=headed)
            self._cache[message.id] = known
        return known[1]
