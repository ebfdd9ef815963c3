"""A tool in one quiet line."""

from typing import Any

import pytest

from aiagentchat.render.tools import LINE_LIMIT, tool_line


@pytest.mark.parametrize(
    ("tool", "tool_input", "expected"),
    [
        pytest.param("Bash", {"command": "make test", "description": "Run"}, "▸ Bash: `make test`", id="command"),
        pytest.param("Bash", {"command": "a\n  b\t**c**"}, "▸ Bash: `a b **c**`", id="one line, no markup"),
        pytest.param("Bash", {"command": "echo `id`"}, "▸ Bash: `` echo `id` ``", id="backticks"),
        pytest.param("Bash", {"command": "rm \u202ex\x1b[2K"}, "▸ Bash: `rm \\u202ex`", id="tricks"),
        pytest.param("Read", {"file_path": "/a/b.py", "limit": 3}, "▸ Read: `/a/b.py`", id="file"),
        pytest.param("Grep", {"pattern": "x+", "path": "."}, "▸ Grep: `x+`", id="pattern"),
        pytest.param("WebFetch", {"url": "http://x", "prompt": "p"}, "▸ WebFetch: `http://x`", id="address"),
        pytest.param("Task", {"description": "Find", "prompt": "p"}, "▸ Task: `Find`", id="subagent"),
        pytest.param("ExitPlanMode", {"plan": "# Tea\n1. Boil"}, "▸ ExitPlanMode: `# Tea 1. Boil`", id="plan"),
        pytest.param("TaskUpdate", {"taskId": "7", "status": "completed"}, "▸ TaskUpdate: `completed`", id="task"),
        pytest.param("mcp__a__b", {"n": 1}, '▸ mcp__a__b: `{"n": 1}`', id="unknown tool"),
        pytest.param("Bash", {"command": 5}, '▸ Bash: `{"command": 5}`', id="a value of another kind"),
        pytest.param("Bash", {"command": ""}, "▸ Bash", id="an empty value"),
        pytest.param("Nothing", {}, "▸ Nothing", id="no input"),
        pytest.param("__x__", {}, "▸ `__x__`", id="a name that would be bold"),
        pytest.param(":_x_", {}, "▸ `:_x_`", id="a name that would be slanted"),
        pytest.param("a*b\n[c", {}, "▸ `a?b??c`", id="a name that is none"),
        pytest.param("", {}, "▸ `?`", id="no name"),
    ],
)
def test_a_tool_is_one_line(tool: str, tool_input: dict[str, Any], expected: str) -> None:
    assert tool_line(tool, tool_input) == expected


@pytest.mark.parametrize("command", ["x" * 500, "`" * 500, "\u202e" * 500, "x " * 100_000])
def test_a_long_one_is_cut(command: str) -> None:
    line = tool_line("Bash", {"command": command})

    assert len(line) <= LINE_LIMIT
    assert "…" in line
