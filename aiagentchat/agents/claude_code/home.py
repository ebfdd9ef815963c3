"""The room's own folder for the CLI: HOME, its configuration folder, its temporary files, and our settings beside it.

<home>/                 HOME: the room may write here
<home>/.claude/         CLAUDE_CONFIG_DIR: the conversations
<home>/tmp/             temporary files; the CLI's default under /tmp is shared by all rooms
<home>.settings.json    ours, read-only, outside of HOME
"""

import os
from pathlib import Path

from aiagentchat.agents.claude_code.command import CONFIG, TEMPORARY, settings
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.process.beneath import create_beneath, make_folder_beneath

_PRIVATE = 0o700
_READ_ONLY = 0o400


def prepare(spec: RunSpec) -> Path:
    """Make what a run needs and return the settings file, written afresh.

    NotOpened if the room has put something into the way; OSError if the disk does not let us.
    """
    home = Path(spec.home)
    home.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)  # ours: no room can reach it
    make_folder_beneath(home.parent, home.name)
    for folder in (CONFIG, TEMPORARY):
        make_folder_beneath(home, folder)
    file = home.with_name(home.name + ".settings.json")
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(create_beneath(fresh.parent, fresh.name), "w", encoding="utf-8") as written:
        written.write(settings(spec))
        os.fchmod(written.fileno(), _READ_ONLY)
    fresh.replace(file)
    return file
