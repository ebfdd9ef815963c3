"""Messages as lines for a terminal. What is in a room can never move the cursor, change a colour or hide in the dark.

Markdown is drawn by Rich. Text is cleaned before, and once more after: an entity (`&#x1b;`) becomes a character only
while Markdown is read.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderResult
from rich.markdown import Heading, Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment, Segments
from rich.text import Text
from rich.theme import Theme

from aiagentchat.cli.chat.timeline import ASKS, CHOOSES, Message, Timeline
from aiagentchat.cli.safe import safe
from aiagentchat.core.ids import UserId
from aiagentchat.render.hygiene import one_line
from aiagentchat.render.marks import ACCEPTED

PROMPT = "› "
INDENT = 2
MOST_MEMBERS = 12
"""So many are named; of the rest it is said how many there are."""
_MOST_KEYS = 6
_KEY = 12
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_QUIET = re.compile(r"▸ |— .*· session \S+$")
_THEME = Theme({"markdown.code": "cyan", "markdown.code_block": "none", "markdown.h1": "bold underline"})
"""Without backgrounds: the terminal may be light or dark."""
_COLOURS = ("magenta", "blue", "yellow", "green")


def parts(body: str) -> list[tuple[bool, str]]:
    """A body in pieces: (True, a tool line, a footer or how to answer) and (False, Markdown), in their order."""
    found: list[tuple[bool, list[str]]] = []
    fence = ""
    for line in body.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and fence and mark[1].startswith(fence):
            fence = ""
        quiet = not fence and (bool(_QUIET.match(line)) or line.startswith((*ASKS, *CHOOSES)))
        if not found or found[-1][0] is not quiet:
            found.append((quiet, []))
        found[-1][1].append(line)
    return [(quiet, "\n".join(lines)) for quiet, lines in found if any(line.strip() for line in lines)]


def console(file: TextIO) -> Console:
    """A console that takes no text for its own markup."""
    return Console(file=file, theme=_THEME, highlight=False, markup=False, emoji=False)


class _LeftHeading(Heading):
    """In the middle of a wide terminal a heading is lost."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Markdown(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _LeftHeading}


class Painter:
    """Draws for one terminal."""

    def __init__(self, console: Console, me: UserId) -> None:
        self._console = console
        self._me = me

    def name(self, user: UserId) -> str:
        """A user, shortly: without the server if it is our own. Never a display name: anybody can take any."""
        local, _, server = user.removeprefix("@").partition(":")
        return one_line(safe(local if server == self._me.partition(":")[2] else user), 40)

    def lines(self, drawn: ConsoleRenderable, width: int) -> list[str]:
        """Something in lines that are no wider than `width` and carry their own colours."""
        options = self._console.options.update(width=width, height=None)
        rows = self._console.render_lines(drawn, options, pad=False)
        with self._console.capture() as captured:
            self._console.print(Segments(_cleaned(rows)), end="", soft_wrap=True)
        return captured.get().split("\n")[: len(rows)]

    def message(self, message: Message, timeline: Timeline, width: int, *, headed: bool) -> list[str]:
        """A message with an empty line below. `headed`: whether to say whose it is."""
        mine = message.sender == self._me
        drawn = self._mine(message, timeline) if mine else self._theirs(message, timeline, headed=headed)
        return [*self.lines(drawn, width), ""]

    def outcome(self, message: Message, key: str, width: int) -> list[str]:
        """What became of a message that has left the screen."""
        return [*self.lines(Text(f"{key}  {one_line(safe(message.body), width - INDENT - 4)}", style="dim"), width), ""]

    def question(self, question: Message, *, ready: bool, width: int) -> list[str]:
        """The box that says which keys answer."""
        hint = Text(_keys(question) if ready else "send or clear (Ctrl-U) what you have typed, then answer with a key")
        title = f"{self.name(question.sender)} waits for your answer"
        return self.lines(Panel(hint, title=title, title_align="left", border_style="yellow", expand=False), width)

    def members(self, users: Collection[UserId], width: int) -> list[str]:
        """The box that says who is in the room."""
        names = [self.name(user) for user in sorted(users)]
        more = [f"and {len(names) - MOST_MEMBERS} more"] if len(names) > MOST_MEMBERS else []
        text = Text("\n".join([*names[:MOST_MEMBERS], *more]))
        title = f"{len(names)} in the room"
        return self.lines(Panel(text, title=title, title_align="left", border_style="dim", expand=False), width)

    def status(self, text: str, width: int, *, bad: bool = False) -> str:
        """One line below everything that was said."""
        return self.lines(Text(one_line(safe(text), max(1, width)), style="red" if bad else "dim"), width)[0]

    def _mine(self, message: Message, timeline: Timeline) -> ConsoleRenderable:
        first, *more = safe(message.body).split("\n")
        text = Text.assemble((PROMPT, "bold cyan"), (first, "bold"))
        reactions = self._reactions(message, timeline)
        if reactions:
            text.append(f"  {reactions}", style="dim")
        return Group(text, *(Padding(Text(line, style="bold"), (0, 0, 0, INDENT)) for line in more))

    def _theirs(self, message: Message, timeline: Timeline, *, headed: bool) -> ConsoleRenderable:
        drawn: list[ConsoleRenderable] = []
        if headed:
            colour = _COLOURS[sum(message.sender.encode()) % len(_COLOURS)]
            drawn.append(Text(self.name(message.sender), style=f"bold {colour}"))
        for quiet, text in parts(safe(message.body)):
            if quiet:
                piece: ConsoleRenderable = Text(_plain(text), style="dim")
            else:
                piece = _Markdown(text, code_theme="ansi_dark", hyperlinks=False)
            if len(drawn) > int(headed):
                drawn.append(Text(""))
            drawn.append(Padding(piece, (0, 0, 0, INDENT)))
        if reactions := self._reactions(message, timeline):
            drawn.append(Padding(Text(reactions, style="dim"), (0, 0, 0, INDENT)))
        return Group(*drawn)

    def _reactions(self, message: Message, timeline: Timeline) -> str:
        """The end of a command stands for all that a daemon said about it."""
        keys = {key: who for key, who in message.reactions.items() if who}
        if end := timeline.outcome(message):
            keys.pop(ACCEPTED, None)
            keys = {end: keys[end], **keys}
        shown = (one_line(safe(key), _KEY) for key in list(keys)[:_MOST_KEYS])
        return " ".join(key for key in shown if key)


def _keys(question: Message) -> str:
    if question.chooses and question.takes_many:
        return "type the numbers that you choose (1,3), then Enter     n  no answer"
    if question.chooses:
        return "1-9  choose     n  no answer     r  no answer, and say why"
    always = "a  always     " if question.takes_always else ""
    return f"y  allow once     {always}n  deny     r  deny, and say why"


def _plain(text: str) -> str:
    """A tool line or footer without its Markdown: code stays, its backticks go."""
    lines = (line.rstrip() for line in text.split("\n"))
    return "\n".join(re.sub(r"(`+) ?(.*?) ?\1", r"\2", line) for line in lines if line)


def _cleaned(rows: Iterable[Sequence[Segment]]) -> Iterable[Segment]:
    for row in rows:
        for text, style, control in row:
            if control is None:
                yield Segment(safe(text).replace("\n", " ").replace("\t", " "), style)
        yield Segment.line()
