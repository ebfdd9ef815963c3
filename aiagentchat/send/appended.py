"""An answer in messages that are never edited: each says what is new since the last one. Pure.

For clients, bridges and people that edits are nothing for. A message ends where a sentence, a paragraph or a block
does, and where nothing is torn: no item of a list, no quotation, no link, nothing bold. What is not complete waits for
the next one. So the texts of all messages, in order, are the whole answer, once.
To an agent each says which part of the answer it is, and the last one that nothing comes after it.
"""

import re

from aiagentchat.core.agent_events import PlanChanged
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import InstanceName, UserId, txn_id
from aiagentchat.core.parcels import Parcel, Urgency
from aiagentchat.core.showing import Showing
from aiagentchat.render import words
from aiagentchat.render.agent_words import signed
from aiagentchat.render.fences import close_open, open_fence
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.partial import mended
from aiagentchat.render.plans import plan_line, plan_list
from aiagentchat.render.split import LEAST_LIMIT, split_once
from aiagentchat.render.tables import is_row
from aiagentchat.send.draft import Draft, is_over
from aiagentchat.send.growing import Growing
from aiagentchat.send.whole import PREVIEW_BYTES

MOST_WAITING = 2_000
"""Bytes of a block without a good border in it that are kept waiting for one."""
MOST_TRIED = 20
"""So many ends of sentences and lines are looked at, from the last one on, for one that tears nothing."""
_ENDS = re.compile(r"\n|[。！？]|[.!?](?= (?!(?:[-*+>|]|#{1,6}|\d{1,9}[.)])[ \t]))")
"""Not where what follows would become a list, a heading or a quotation at the beginning of a message."""
_ITEM = re.compile(r"[ \t]|(?:[-*+]|\d{1,9}[.)])(?:[ \t]|\Z)")
"""How a line begins that may go on in the next ones, if they are indented."""
_ONE_BLOCK = re.compile(rf"{_ITEM.pattern}|>|#{{1,6}}[ \t]")
"""How one begins whose second half would not be what the first one is."""
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*")
"""What makes a title of the line before it, or may become that."""
_LINK_TARGET = re.compile(r"\]\([^()]*\Z")


class Appended(Growing):
    """The text of one turn, window by window. The draft is what is not said yet."""

    def __init__(self, command: Command, showing: Showing | None = None, instance: InstanceName | None = None) -> None:
        """`instance`: who says it, where an agent has asked."""
        super().__init__(command, showing, instance)
        self._planned = False
        """Whether a plan was said."""
        self._asides = 0
        self.edits = 0
        """How many messages there are; more of them make the windows wider, as edits of one message do."""

    def plan(self, plan: PlanChanged) -> None:
        """What the agent wants to do: whole for the first time, then how far it has come."""
        if self._is_over:
            self._progress = plan_line(plan)
        elif plan.steps:
            self._draft.paragraph(plan_line(plan) if self._planned else plan_list(plan))
            self._planned = True

    def flush(self) -> list[Parcel]:
        """What is new, as far as it is complete."""
        parcels = self._full(Urgency.PROGRESS)
        text = self._draft.text
        if (ready := _ready(self._draft)) > 0:
            parcels += self._say(text[:ready], Urgency.PROGRESS)
            self._draft.turn(text[ready:].removeprefix(" ").lstrip("\n"), ready)
        elif is_over(text, MOST_WAITING):
            parcels += self._cut(MOST_WAITING, Urgency.PROGRESS)
        if self._progress and not parcels:
            parcels += self._say_aside()
        self._progress = ""
        return parcels

    def break_off(self) -> list[Parcel]:
        """All that is not said yet."""
        self._progress = ""
        parcels = self._full(Urgency.NEEDED) + self._say(self._draft.text, Urgency.NEEDED)
        self._draft.turn("", len(self._draft.text))
        return parcels

    def close(self, last_words: str, footer: str, *, mention: UserId | None = None) -> list[Parcel]:
        """The end of the answer: a message that rings, as the first one did."""
        self.block_ended()
        conclusion = self._whole.conclusion if self._is_over else ""
        for text in filter(None, (conclusion, last_words, footer)):
            self._draft.paragraph(text)
        parcels = self._full(Urgency.NEEDED)
        if self._is_over:
            parcels += self._say(self._draft.text, Urgency.NEEDED)
            mentions = [] if mention is None else [mention]
            return [*parcels, self._whole.file(self._command, mentions, part=self.edits, instance=self._instance)]
        if self._command.meta is not None and not self._draft.text.strip():
            self._draft.paragraph(words.TURN_OVER)  # an agent waits for the part that is the last
        return parcels + self._say(self._draft.text, Urgency.NEEDED, is_last=True, mention=mention)

    def _preview(self) -> str:
        return split_once(self._draft.text, PREVIEW_BYTES)[0].text if self.edits == 0 else ""

    def _full(self, urgency: Urgency) -> list[Parcel]:
        parcels: list[Parcel] = []
        while is_over(self._draft.text, PAGE_BYTES):
            parcels += self._cut(PAGE_BYTES, urgency)
        return parcels

    def _cut(self, limit: int, urgency: Urgency) -> list[Parcel]:
        piece, rest = split_once(self._draft.text, max(LEAST_LIMIT, limit))
        parcels = self._say(piece.text, urgency)
        self._draft.turn(rest, len(piece.source))
        return parcels

    def _say(
        self, text: str, urgency: Urgency, *, is_last: bool = False, mention: UserId | None = None
    ) -> list[Parcel]:
        if not text.strip():
            return []
        is_first = self.edits == 0
        content = message(
            close_open(text.rstrip()),
            notice=not (is_first or is_last),
            reply_to=self._command.shown_at if is_first or mention is not None else None,
            mentions=[] if mention is None else [mention],
        )
        txn = txn_id(self._command.event, "page", str(self.edits))
        parcel = Parcel(
            txn=txn,
            room=self._command.room,
            content=signed(content, self._command, txn, instance=self._instance, part=self.edits, last=is_last),
            command=self._command.event,
            urgency=urgency,
        )
        self.edits += 1
        return [parcel]

    def _say_aside(self) -> list[Parcel]:
        """It is no part of the answer, and so not its first message."""
        parcel = Parcel(
            txn=txn_id(self._command.event, "progress", str(self._asides)),
            room=self._command.room,
            content=message(self._progress, notice=True),
            command=self._command.event,
            urgency=Urgency.PROGRESS,
        )
        self._asides += 1
        return [parcel]


def _ready(draft: Draft) -> int:
    """How much of what is not said yet may be said, because more of it would not change it."""
    text = draft.text
    if not draft.in_block:
        return len(text)
    at = _border(text, draft.final)
    begun = max(at, draft.final)
    rest = text[begun:]
    if open_fence(rest) is not None:
        return begun
    ends = [end.start() if end[0] == "\n" else end.end() for end in _ENDS.finditer(text, begun)]
    return next((end for end in reversed(ends[-MOST_TRIED:]) if _is_whole(text, begun, end)), begun)


def _border(text: str, begun: int) -> int:
    """The last empty line between two blocks, or -1; not looked for further back than `MOST_TRIED` empty lines."""
    at = text.rfind("\n\n", begun)
    for _ in range(MOST_TRIED):
        if at == -1 or (open_fence(text[:at]) is None and _line_is_over(text, at)):
            return at
        at = text.rfind("\n\n", begun, at)
    return -1


def _is_whole(text: str, begun: int, end: int) -> bool:
    """Whether what stands before this end of a line or a sentence looks the same without what follows, and that too."""
    piece = text[begun:end]
    if text.startswith("\n", end):
        following, _, _ = text[end + 1 :].partition("\n")
        is_title = _UNDERLINE.fullmatch(following) is not None
        return not is_title and _line_is_over(text, end) and mended(piece) == piece
    line = text[text.rfind("\n", 0, end) + 1 : end]
    is_prose = _ONE_BLOCK.match(f"{line} ") is None and not is_row(line)
    is_in_link = line.count("[") > line.count("]") or _LINK_TARGET.search(line) is not None
    return is_prose and not is_in_link and mended(piece) == piece


def _line_is_over(text: str, end: int) -> bool:
    """Whether what follows the line that ends here is nothing of it: no next row, and nothing that belongs to its item,
    which without it would be code."""
    line = text[text.rfind("\n", 0, end) + 1 : end]
    if is_row(line):
        following, line_end, _ = text[end + 1 :].partition("\n")
        return line_end != "" and not is_row(following)
    following = text[end:].lstrip("\n")[:1]
    return _ITEM.match(line) is None or following not in ("", " ", "\t")
