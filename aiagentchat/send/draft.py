"""What was said and is not on a full page yet: words, thoughts and tool lines, in blocks. Pure."""

from aiagentchat.render.fences import close_open
from aiagentchat.render.folding import step, unmarked
from aiagentchat.render.words import thought

PARAGRAPH = "\n\n"
_LINE_BREAK = "  \n"


class Draft:
    """Markdown to which more is added, and of which the last block may be taken back."""

    def __init__(self) -> None:
        self.text = ""
        self.final = 0
        """How many characters of it will not be taken back."""
        self.in_block = False
        """Whether more of what was added last is to come."""
        self._after_tool = False

    def add(self, text: str) -> None:
        """More of what the agent says."""
        if not self.in_block:
            self._leave(PARAGRAPH)
            self.in_block, self._after_tool = True, False
        self.text += unmarked(text)

    def tool(self, line: str) -> None:
        """One quiet line about a tool; lines in a row stand together."""
        self.block_ended()
        self._leave(_LINE_BREAK if self._after_tool else PARAGRAPH)
        self.text += step(line)
        self.final, self._after_tool = len(self.text), True

    def think(self, text: str) -> None:
        """What the model thought."""
        self.paragraph(thought(unmarked(text)))

    def paragraph(self, text: str) -> None:
        """Something that stands for itself, and is final."""
        self.block_ended()
        self._leave(PARAGRAPH)
        self.text += text
        self.final, self._after_tool = len(self.text), False

    def block_ended(self) -> None:
        """What was added is final."""
        self.final, self.in_block = len(self.text), False

    def retract(self) -> None:
        """Take back what is not final."""
        self.text, self.in_block = self.text[: self.final], False

    def cut_to(self, text: str) -> None:
        """Keep only this beginning of it, and let it be final."""
        self.text = text
        self.block_ended()

    def turn(self, rest: str, left: int) -> None:
        """What stood before `rest` has left for good: so many characters of the text."""
        reopened = len(rest) - (len(self.text) - left)
        self.final = min(len(rest), self.final - left + reopened) if self.final > left else 0
        self.text = rest
        self.in_block, self._after_tool = self.in_block and bool(rest), self._after_tool and bool(rest)

    def _leave(self, between: str) -> None:
        """End what was said so far: a fence that it left open must not swallow what follows."""
        if self.text:
            self.text = close_open(self.text) + between


def is_over(text: str, limit: int) -> bool:
    """Whether `text` takes more than `limit` bytes; a long text is not encoded to find out."""
    return len(text) > limit or len(text.encode("utf-8", "replace")) > limit
