"""What follows when a run could not take its prompt: nothing was done, so it is safe to try otherwise. Pure."""

from enum import StrEnum

from aiagentchat.core.errors import AgentDied, AgentError, SessionInUse, SessionNotFound

RESUMES = 2
"""How often a conversation may fail to be taken up again for one command, before it is set aside."""


class Remedy(StrEnum):
    """How to go on."""

    AGAIN = "again"
    """The same, in a fresh process."""
    RESUME = "resume"
    """The agent has the conversation already: go on in it."""
    REPLACE = "replace"
    """The agent has lost the conversation: begin another."""
    SET_ASIDE = "set_aside"
    """The agent cannot take the conversation up again: keep it, and begin another."""


class Mending:
    """Remembers what was tried for one command. Each thing is tried once, so it comes to an end."""

    def __init__(self) -> None:
        self._tried: set[Remedy] = set()
        self._deaths = 0

    def after(self, lost: AgentError, *, resume: bool) -> Remedy | None:
        """What to try now that a run (one that resumed, or not) was lost before it took the prompt; None: give up."""
        match lost:
            case SessionInUse():
                remedy = Remedy.RESUME
            case SessionNotFound():
                remedy = Remedy.REPLACE
            case AgentDied() if resume:
                self._deaths += 1
                remedy = Remedy.AGAIN if self._deaths < RESUMES else Remedy.SET_ASIDE
            case _:
                return None
        if remedy in self._tried:
            return None
        self._tried.add(remedy)
        return remedy
