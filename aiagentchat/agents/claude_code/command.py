"""From a run's spec to what is started: argv, environment and settings. Pure.

No prompt, no instruction and no secret is ever in argv, which every user of the machine can read.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from aiagentchat.agents.claude_code.room_tools import mcp_config
from aiagentchat.agents.claude_code.speaking import allowed_tools
from aiagentchat.core.ids import RunId
from aiagentchat.core.models import DEFAULT
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.process.leftovers import MARKER

QUIET: Mapping[str, str] = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    # The authoritative end of a turn, also when its result line was too long to keep.
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
    # One message, one result: nothing speaks up after the turn, and a tool's timeout kills the tool.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    # A plan that says the whole list each time (`TodoWrite`), which the room sees; without these the agent has none.
    "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1",
    "CLAUDE_CODE_ENABLE_TASKS": "0",
    # The CLI's default is ten tries over three minutes; a room wants to hear earlier.
    "CLAUDE_CODE_MAX_RETRIES": "4",
}
CONFIG = ".claude"
TEMPORARY = "tmp"
"""Folders in the room's HOME."""


def flags(settings: str, spec: RunSpec) -> list[str]:
    """What every run gets. `--setting-sources ''` keeps hooks, env and MCP servers planted by a room from running."""
    return [
        "-p",
        *("--input-format", "stream-json"),
        *("--output-format", "stream-json"),
        "--verbose",
        "--include-partial-messages",
        *("--permission-prompt-tool", "stdio"),
        *("--permission-mode", spec.permission_mode),
        *("--setting-sources", ""),
        *("--settings", settings),
        "--strict-mcp-config",
        *("--mcp-config", mcp_config()),
    ]


def _model(spec: RunSpec) -> list[str]:
    """A conversation that is taken up again keeps the model that it had, whatever the settings say, but not this."""
    if spec.model is None and not spec.resume:
        return []
    return ["--model", spec.model or DEFAULT]


def argv(binary: Path, settings: str, spec: RunSpec) -> list[str]:
    """The whole command line. The = form: --resume takes an optional value."""
    session = [f"--resume={spec.session}"] if spec.resume else ["--session-id", spec.session]
    return [str(binary), *flags(settings, spec), *_model(spec), *session]


def environment(spec: RunSpec, run: RunId, *, path: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the run: an allow-list, nothing inherited.

    The room's own variables come before ours, so that none of ours can be replaced.
    """
    home = Path(spec.home)
    return {
        "PATH": path,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        **dict(spec.env),
        "HOME": spec.home,
        "CLAUDE_CONFIG_DIR": str(home / CONFIG),
        "CLAUDE_CODE_TMPDIR": str(home / TEMPORARY),
        "TMPDIR": str(home / TEMPORARY),
        **QUIET,
        **credentials,
        MARKER: run,
    }


def settings(spec: RunSpec) -> str:
    """The settings file: model, rules and folders. The CLI ignores wrong types silently, so only strings go in."""
    # In a rule one slash means "from the settings file"; two are needed for a whole path.
    read_only = [f"Edit(/{mount.path}/**)" for mount in spec.mounts if mount.mode == "ro"]
    permissions = {"allow": [*allowed_tools(spec), *spec.allow], "deny": [*spec.deny, *read_only]}
    if spec.mounts:
        permissions["additionalDirectories"] = [str(mount.path) for mount in spec.mounts]
    body: dict[str, object] = {"permissions": permissions}
    if spec.model is not None:
        body["model"] = spec.model
    return json.dumps(body, indent=1, sort_keys=True)
