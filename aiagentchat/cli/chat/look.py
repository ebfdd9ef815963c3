"""Looking back: a window on everything that is known of the room, which moves and never changes it. Pure.

It is drawn on the terminal's other screen, so that the chat is as before when it is left. What was edited reads as it
reads now, in its place.
"""

from enum import Enum

from aiagentchat.cli.chat.editor import Key, Press
from aiagentchat.cli.chat.paint import Painter
from aiagentchat.cli.chat.screen import Frame
from aiagentchat.cli.chat.timeline import Message, Timeline
from aiagentchat.core.ids import EventId

_HINT = "looking back · ↑ ↓ Page Up Page Down Home End · Esc goes back to the chat"


class Wish(Enum):
    """What a key asks for."""

    STAY = "stay"
    OLDER = "older"
    """And what lies before, if there is anything."""
    LEAVE = "leave"


class Look:
    """Where somebody looks."""

    def __init__(self, painter: Painter, above: int = 0) -> None:
        self._painter = painter
        self._above = above
        """Lines between the bottom of the window and the end."""
        self._most = 0
        """What that may be, as of the last picture."""
        self._follows = False
        """Whether the window stays at the beginning, wherever that comes to be."""
        self._page = 1
        self._cache: dict[EventId, tuple[object, list[str]]] = {}

    def press(self, press: Press) -> Wish:
        """Take one key."""
        step = {
            Key.UP: 1,
            Key.DOWN: -1,
            Key.PAGE_UP: self._page,
            Key.PAGE_DOWN: -self._page,
            Key.HOME: self._most,
            Key.END: -self._most,
        }
        match press:
            case Key() if press in step:
                self._follows = press is Key.HOME
                self._above = max(0, self._above + step[press])
                return Wish.OLDER if self._above >= self._most and step[press] >= 0 else Wish.STAY
            case Key.ESCAPE | Key.ENTER | Key.INTERRUPT | Key.EOF:
                return Wish.LEAVE
            case _:
                return Wish.STAY

    def frame(self, timeline: Timeline, size: tuple[int, int], trouble: str, *, more: bool) -> Frame:
        """The picture. `more`: whether there is something before what is known."""
        width, rows = size[0] - 1, size[1] - 1
        before: Message | None = None
        lines: list[str] = []
        for message in timeline.messages:
            lines += self._lines(message, before, timeline, width)
            before = message
        begins = "… more is loaded here" if more else "the room begins here"
        lines = [self._painter.status(begins, width), "", *lines]
        self._page = max(1, rows - 1)
        self._most = max(0, len(lines) - rows)
        self._above = self._most if self._follows else min(self._above, self._most)
        end = len(lines) - self._above
        shown = lines[max(0, end - rows) : end]
        hint = self._painter.status(trouble or _HINT, width, bad=bool(trouble))
        return Frame(live=[*shown, *[""] * (rows - len(shown)), hint], row=rows)

    def _lines(self, message: Message, before: Message | None, timeline: Timeline, width: int) -> list[str]:
        headed = before is None or before.sender != message.sender
        key = message.body, headed, width, sorted((key, len(who)) for key, who in message.reactions.items())
        known = self._cache.get(message.id)
        if known is None or known[0] != key:
            known = key, self._painter.message(message, timeline, width, headed=headed)
            self._cache[message.id] = known
        return known[1]
