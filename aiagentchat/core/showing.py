"""How a room wants to see what the agent says. Set in config.yaml, for all rooms or for one."""

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """How an answer grows in its room."""

    LIVE = "live"
    """One message is edited while text comes."""
    APPEND = "append"
    """Each window is a message of its own; nothing is edited."""


class Show(StrEnum):
    """What is shown beside the words of the answer."""

    TOOLS = "tools"
    """One quiet line for each tool."""
    THINKING = "thinking"
    """Tools, and what the model thinks."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """One room's wishes."""

    form: Form = Form.LIVE
    show: Show = Show.TOOLS
    notify_after: int = 30
    """A turn that took so many seconds ends with a new message that mentions whoever asked. 0: none does."""
    file_after: int = 30
    """An answer of more than so many KB becomes a file, with a preview in the room. 0: none does."""

    @property
    def tools(self) -> bool:
        """Whether tools are shown."""
        return self.show is not Show.NONE

    @property
    def thinking(self) -> bool:
        """Whether thinking is shown."""
        return self.show is Show.THINKING

    @property
    def most_bytes(self) -> int | None:
        """How long an answer may be before it becomes a file; None: however long."""
        return self.file_after * 1000 or None
