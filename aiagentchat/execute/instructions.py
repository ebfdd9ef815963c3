"""What the agent is told about where and who it is. It joins the system prompt, next to the project's own CLAUDE.md."""

import os
from pathlib import Path

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import open_beneath
from aiagentchat.render import guard_words

PROJECT_FILE = "CLAUDE.md"
MAX_PROJECT_BYTES = 32 * 1024
"""More of a CLAUDE.md than this is cut, and the agent is told so."""

_ABOUT = """\
You answer in the Matrix room "{name}" through aiagentchat. What you say is shown there while you write it, as \
Markdown; people often read it on a phone, so be brief and lead with the result.
Your working directory is this room's workspace. Messages come from: {people}.
When a tool needs approval, a person in the room is asked; a denial comes with their reason. \
To let people choose, use AskUserQuestion: they answer with a tap, and your turn goes on. To ask something open, write \
it as text and end your turn: the answer is the next message.
Processes that you start are ended when your turn ends."""


def instructions(room: RoomSettings, workspace: Path) -> str:
    """The text for a room."""
    people = ", ".join(sorted(room.users | room.admins)) or "the operator"
    about = f"{_ABOUT.format(name=room.name, people=people)}\n{guard_words.ABOUT_AGENTS}"
    project = project_text(workspace) if room.project_instructions else ""
    return f"{about}\n\nInstructions of the project, from its {PROJECT_FILE}:\n\n{project}" if project else about


def project_text(workspace: Path) -> str:
    """The workspace's CLAUDE.md, empty if there is none that is a plain file.

    The workspace is the agent's: the file may be a link to a secret of the daemon, a pipe, or endless.
    """
    try:
        descriptor = open_beneath(workspace, PROJECT_FILE)
    except NotOpened:
        return ""
    try:
        text = os.read(descriptor, MAX_PROJECT_BYTES + 1)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    cut = f"\n\n(cut after {MAX_PROJECT_BYTES // 1024} KiB)" if len(text) > MAX_PROJECT_BYTES else ""
    return text[:MAX_PROJECT_BYTES].decode("utf-8", "replace").replace("\0", "") + cut
