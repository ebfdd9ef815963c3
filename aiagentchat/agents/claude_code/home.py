"""The room's own folder for the CLI: HOME, its configuration folder, its temporary files, and our settings beside it.

<home>/                 HOME: the room may write here
<home>/.claude/         CLAUDE_CONFIG_DIR: the conversations
<home>/tmp/             temporary files; the CLI's default under /tmp is shared by all rooms
<home>.settings.json    ours, read-only, outside of HOME
"""

from pathlib import Path

from aiagentchat.agents.claude_code.command import CONFIG, TEMPORARY, settings
from aiagentchat.core.ports.agent import RunSpec

_PRIVATE = 0o700
_READ_ONLY = 0o400


def prepare(spec: RunSpec) -> Path:
    """Make what a run needs and return the settings file, written afresh. OSError if the disk does not let us."""
    home = Path(spec.home)
    for folder in (home, home / CONFIG, home / TEMPORARY):
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    file = home.with_name(home.name + ".settings.json")
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(settings(spec), encoding="utf-8")
    fresh.chmod(_READ_ONLY)
    fresh.replace(file)
    return file
