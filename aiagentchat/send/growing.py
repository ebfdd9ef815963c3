"""What both ways to show an answer have: its draft, and all of it, for when it grows too long for its room. Pure."""

from abc import ABC, abstractmethod

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import InstanceName
from aiagentchat.core.showing import Showing
from aiagentchat.render import words
from aiagentchat.send.draft import Draft
from aiagentchat.send.whole import Whole


class Growing(ABC):
    """The text of one turn, while it comes."""

    def __init__(self, command: Command, showing: Showing | None = None, instance: InstanceName | None = None) -> None:
        """`instance`: who says it, where an agent has asked."""
        self._command = command
        self._instance = instance
        self._showing = showing or Showing()
        self._draft = Draft()
        """What is not in the room for good."""
        self._whole = Whole(self._showing.most_bytes)
        self._is_over = False
        """Whether the rest comes as a file."""
        self._progress = ""
        self.silent = True
        """Whether the agent has not said a word yet."""

    @property
    def in_block(self) -> bool:
        """Whether more of what was added last is to come."""
        return self._draft.in_block

    def add(self, text: str) -> None:
        """More of what the agent says."""
        if not text:
            return
        self.silent = False
        self._whole.add(text)
        if not self._is_over:
            self._draft.add(text)
            self._grown()

    def tool(self, line: str) -> None:
        """One quiet line about a tool."""
        self._whole.tool(line)
        if self._is_over:
            self._progress = line
        else:
            self._draft.tool(line)
            self._grown()

    def think(self, text: str) -> None:
        """What the model thought."""
        self._whole.think(text)
        if not self._is_over:
            self._draft.think(text)
            self._grown()

    def progress(self, line: str) -> None:
        """What goes on while nothing is said: in one line, which takes the place of the last one."""
        self._progress = line

    def block_ended(self) -> None:
        """What was added is final."""
        self._whole.block_ended()
        self._draft.block_ended()

    def retract(self) -> None:
        """Take back what is not final. What is in the room for good stays."""
        self._whole.retract()
        self._draft.retract()

    def _grown(self) -> None:
        self._progress = ""
        if self._whole.is_too_long:
            self._is_over = True
            self._draft.cut_to(self._preview())
            self._draft.paragraph(words.goes_on_in_file(self._showing.file_after))

    @abstractmethod
    def _preview(self) -> str:
        """What stays of the draft when the rest comes as a file."""
