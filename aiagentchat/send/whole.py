"""All that an answer says, for the file that it becomes when it is too long for its room. Pure."""

from collections.abc import Sequence
from enum import Enum, auto

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import InstanceName, UserId, txn_id
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.render.agent_words import signed
from aiagentchat.render.fences import close_open
from aiagentchat.render.hygiene import clean
from aiagentchat.render.words import thought, whole_answer
from aiagentchat.send.draft import PARAGRAPH

PREVIEW_BYTES = 2_000
"""What the room sees at least of an answer that becomes a file …"""
CONCLUSION_BYTES = 2_000
"""… and of its last words, if they are no longer than this."""
FILE_TYPE = "text/markdown"


class _Kind(Enum):
    WORDS = auto()
    TOOL = auto()
    THOUGHT = auto()


class Whole:
    """The text of an answer in blocks; a block that is final is never looked at again."""

    def __init__(self, most: int | None) -> None:
        """`most` bytes fit into the room; None: there is no file, and nothing is kept for it."""
        self._most = most
        self._blocks: list[tuple[_Kind, str]] = []
        self._open: list[str] = []
        self._closed = self._growing = 0

    @property
    def is_too_long(self) -> bool:
        """Whether it is longer than the room wants to see."""
        return self._most is not None and self._closed + self._growing > self._most

    @property
    def conclusion(self) -> str:
        """What it ends with, if that is short."""
        kind, text = self._blocks[-1] if self._blocks else (_Kind.TOOL, "")
        return text if kind is _Kind.WORDS and len(text.encode("utf-8", "replace")) <= CONCLUSION_BYTES else ""

    def add(self, text: str) -> None:
        """More of the present block."""
        if self._most is not None:
            self._open.append(text)
            self._growing += len(text.encode("utf-8", "replace"))

    def tool(self, line: str) -> None:
        """One quiet line about a tool."""
        self._put(_Kind.TOOL, line)

    def think(self, text: str) -> None:
        """What the model thought."""
        self._put(_Kind.THOUGHT, thought(text))

    def block_ended(self) -> None:
        """What was added is final."""
        if self._open:
            text = "".join(self._open)
            self.retract()
            self._put(_Kind.WORDS, text)

    def retract(self) -> None:
        """Take back what is not final."""
        self._open, self._growing = [], 0

    def file(
        self, command: Command, mentions: Sequence[UserId], *, part: int, instance: InstanceName | None = None
    ) -> Parcel:
        """The parcel with all of it: the last part of the answer."""
        self.block_ended()
        data, txn = clean(self._text()).encode(), txn_id(command.event, "whole")
        content = {
            "msgtype": "m.file",
            "body": whole_answer(len(data)),
            "filename": f"answer-{txn[:8]}.md",
            "info": {"mimetype": FILE_TYPE, "size": len(data)},
            "m.mentions": {"user_ids": [*mentions]} if mentions else {},
        }
        return Parcel(
            txn=txn,
            room=command.room,
            content=signed(content, command, txn, instance=instance, part=part),
            command=command.event,
            attachment=Attachment(data),
        )

    def _text(self) -> str:
        said: list[str] = []
        before = _Kind.WORDS
        for kind, block in self._blocks:
            between = "  \n" if kind is before is _Kind.TOOL else PARAGRAPH
            said += [between if said else "", close_open(block)]
            before = kind
        return "".join([*said, "\n"])

    def _put(self, kind: _Kind, block: str) -> None:
        self.block_ended()
        if self._most is not None:
            self._blocks.append((kind, block))
            self._closed += len(block.encode("utf-8", "replace"))
