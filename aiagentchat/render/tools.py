"""A tool of the agent in one quiet line."""

import json
import re
from collections.abc import Mapping
from typing import Any

from aiagentchat.render.fences import code_span
from aiagentchat.render.hygiene import one_line, visible

LINE_LIMIT = 120
"""Characters of a tool line: two lines on a phone."""

_NAME_LIMIT = 64
_LOOKED_AT = 2_000  # characters of an input that can matter for one line
_STRANGE = re.compile(r"[^\w.:\-]")
_PLAIN = re.compile(r"[^\W_]+(?:(?:_+|[.:\-])[^\W_]+)*")  # underscores within a word are no emphasis
_TELLING = {
    "Bash": "command",
    "BashOutput": "bash_id",
    "Read": "file_path",
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
    "Grep": "pattern",
    "Glob": "pattern",
    "WebFetch": "url",
    "WebSearch": "query",
    "Task": "description",
    "Agent": "description",
    "Skill": "skill",
    "ExitPlanMode": "plan",
    "TaskUpdate": "status",
}


def tool_line(tool: str, tool_input: Mapping[str, Any]) -> str:
    """What the agent does, as ``▸ Bash: `make test` ``: one line in which Markdown means nothing."""
    name = tool_name(tool)
    what = _telling(tool, tool_input)
    if not what:
        return f"▸ {name}"
    room = LINE_LIMIT - len(f"▸ {name}: ``")
    while len(line := f"▸ {name}: {code_span(one_line(what, room))}") > LINE_LIMIT:
        room //= 2  # backticks in the text need longer ones around it
    return line


def tool_name(tool: str) -> str:
    """The tool's name as Markdown that shows it as it is."""
    name = _STRANGE.sub("?", one_line(visible(tool), _NAME_LIMIT)) or "?"
    return name if _PLAIN.fullmatch(name) else code_span(name)


def _telling(tool: str, tool_input: Mapping[str, Any]) -> str:
    value = tool_input.get(_TELLING.get(tool, ""))
    if not isinstance(value, str):
        value = json.dumps(dict(tool_input), ensure_ascii=False, default=str) if tool_input else ""
    return visible(one_line(value[:_LOOKED_AT], LINE_LIMIT))
