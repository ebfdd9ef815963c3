"""An answer while it grows: which messages and edits show its present state. Pure.

One message is edited while text comes; before it is too long a new one begins. Pages that are full are never touched
again, so the text of all pages, in order, is the whole answer, once.

What goes on while nothing is said stands below it, and gives way to the next word; so does the plan, which stays until
the end. Where there is nothing yet for it to stand below, what goes on is a quiet message of its own, so that the first
words still are a new message, which rings.

An answer that is too long for its room (`Showing.file_after`) grows no further there; all of it comes as a file.

To an agent each page says which part of the answer it is, and the last parcel that nothing comes after it.
"""

from aiagentchat.core.agent_events import PlanChanged
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import InstanceName, TxnId, UserId, txn_id
from aiagentchat.core.parcels import Content, Parcel, Urgency
from aiagentchat.core.showing import Showing
from aiagentchat.render import words
from aiagentchat.render.agent_words import signed
from aiagentchat.render.fences import close_open
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.partial import mended
from aiagentchat.render.plans import plan_list
from aiagentchat.render.split import LEAST_LIMIT, split_once
from aiagentchat.send.draft import PARAGRAPH, is_over
from aiagentchat.send.growing import Growing
from aiagentchat.send.whole import PREVIEW_BYTES

MAX_EDITS = 60
"""Edits of one message at most: each is an event of its own that the homeserver keeps in full."""


class Answer(Growing):
    """The text of one turn, cut into pages, each of which is one message.

    The draft is the page, and what is too much for it.
    """

    def __init__(self, command: Command, showing: Showing | None = None, instance: InstanceName | None = None) -> None:
        """`instance`: who says it, where an agent has asked."""
        super().__init__(command, showing, instance)
        self._page = 0
        self._edits = 0
        self._put: Content = {}
        """The page as it was last handed out; empty before the first time."""
        self._put_to = 0
        """How many characters of the draft that were."""
        self._plan = ""
        self._plan_left = ""
        """The plan as it stands on an earlier page, for good."""
        self._aside = ""
        """The progress as it was last put into a message of its own, on this page."""
        self._aside_edits = 0

    @property
    def edits(self) -> int:
        """How often the present message was edited."""
        return self._edits

    def plan(self, plan: PlanChanged) -> None:
        """What the agent wants to do, instead of what it wanted before."""
        self._plan = plan_list(plan)

    def flush(self) -> list[Parcel]:
        """The parcels that bring the room up to date."""
        return self._up_to_date(Urgency.PROGRESS)

    def break_off(self) -> list[Parcel]:
        """Bring the room up to date, and go on in a new message."""
        self._progress = ""
        parcels = self._up_to_date(Urgency.NEEDED, is_last=True)
        if self._put:
            self._plan_left = self._plan
            self._leave_page()
        return parcels

    def close(self, last_words: str, footer: str, *, mention: UserId | None = None) -> list[Parcel]:
        """The end of the answer; the last message rings, as the first one did.

        With somebody to `mention` that is a new message in any case: an edit rings nobody.
        """
        self._complete()
        needed = Urgency.NEEDED
        parcels = self._full_pages(needed)
        if mention is not None and self._put and not self._is_over:
            if not self._draft.text.strip():
                self._draft.paragraph(words.NOTHING)  # what stood there was taken back
            parcels += self._show(close_open(self._draft.text), needed, notice=self._page > 0, is_last=True)
            self._leave_page()
            last_words = last_words or words.TURN_OVER
        for text in filter(None, (last_words, footer)):
            self._draft.paragraph(text)
        parcels += self._full_pages(needed)
        if self._is_over:
            parcels += self._show(close_open(self._draft.text), needed, notice=self._page > 0, is_last=True)
            mentions = [] if mention is None else [mention]
            part = self._page + 1
            return [*parcels, self._whole.file(self._command, mentions, part=part, instance=self._instance)]
        if self._command.meta is not None and not self._draft.text.strip():
            self._draft.paragraph(words.TURN_OVER)  # an agent waits for the part that is the last
        return parcels + self._show(
            close_open(self._draft.text), needed, notice=False, is_last=True, mention=mention, is_end=True
        )

    def _complete(self) -> None:
        self._progress = ""
        self.block_ended()
        if self._is_over and self._whole.conclusion:
            self._draft.paragraph(self._whole.conclusion)
        if self._plan:
            self._draft.paragraph(self._plan)
            self._plan = ""

    def _preview(self) -> str:
        is_preview = self._page == 0 and self._put_to < PREVIEW_BYTES
        text = self._draft.text
        return split_once(text, PREVIEW_BYTES)[0].text if is_preview else text[: self._put_to]

    def _up_to_date(self, urgency: Urgency, *, is_last: bool = False) -> list[Parcel]:
        parcels = self._full_pages(urgency)
        if self._edits >= MAX_EDITS - 1 and self._content(self._view(), notice=self._page > 0) != self._put:
            # One edit is kept for the end: go on in a new message, at the best border there is.
            length = len(self._draft.text.encode("utf-8", "replace"))
            parcels += self._turn_over(max(LEAST_LIMIT, length - 1), urgency)
        if self._progress and not self._view().strip() and not self._put:
            return parcels + self._show_aside()
        view = self._view(is_last=is_last)
        # The edit that takes it away again must not be the last one, after which a new message would begin.
        if self._progress and self._edits < MAX_EDITS - 2:
            view = _joined(view, self._progress)
        parcels += self._show(view, urgency, notice=self._page > 0, is_last=is_last)
        self._put_to = len(self._draft.text)
        return parcels

    def _view(self, *, is_last: bool = False) -> str:
        """The page as it may be shown now."""
        text = self._draft.text
        text = mended(text) if self.in_block and not is_last else close_open(text)
        is_news = bool(text.strip()) or self._plan != self._plan_left
        return _joined(text, self._plan) if self._plan and is_news else text

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

    def _full_pages(self, urgency: Urgency) -> list[Parcel]:
        parcels: list[Parcel] = []
        limit = PAGE_BYTES - len(self._plan.encode("utf-8", "replace"))
        while is_over(self._draft.text, limit):
            parcels += self._turn_over(limit, urgency)
        return parcels

    def _turn_over(self, limit: int, urgency: Urgency) -> list[Parcel]:
        piece, rest = split_once(self._draft.text, limit)
        parcels = self._show(piece.text, urgency, notice=self._page > 0, is_last=True)
        self._draft.turn(rest, len(piece.source))
        self._next()
        return parcels

    def _leave_page(self) -> None:
        self._draft.turn("", len(self._draft.text))
        self._next()

    def _next(self) -> None:
        self._page += 1
        self._edits, self._put, self._put_to = 0, {}, 0
        self._aside, self._aside_edits = "", 0

    def _show(
        self,
        text: str,
        urgency: Urgency,
        *,
        notice: bool,
        is_last: bool,
        mention: UserId | None = None,
        is_end: bool = False,
    ) -> list[Parcel]:
        content = self._content(text, notice=notice, fold=is_last, mention=mention, is_end=is_end)
        if not text.strip() or content == self._put:
            return []
        first = self._first
        self._edits += bool(self._put)
        parcel = Parcel(
            txn=txn_id(first, "edit", str(self._edits)) if self._put else first,
            room=self._command.room,
            content=content,
            edits=first if self._put else None,
            command=self._command.event,
            urgency=urgency,
        )
        self._put = content
        return [parcel]

    @property
    def _first(self) -> TxnId:
        """The parcel that begins the page."""
        return txn_id(self._command.event, "page", str(self._page))

    def _content(
        self, text: str, *, notice: bool, fold: bool = False, mention: UserId | None = None, is_end: bool = False
    ) -> Content:
        is_reply = self._page == 0 or mention is not None
        said = message(
            text,
            notice=notice,
            reply_to=self._command.shown_at if is_reply else None,
            mentions=[] if mention is None else [mention],
            fold=fold,
        )
        return signed(said, self._command, self._first, instance=self._instance, part=self._page, last=is_end)


def _joined(text: str, below: str) -> str:
    return f"{close_open(text)}{PARAGRAPH}{below}" if text else below
