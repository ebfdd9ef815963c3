"""A person sees everything that would run."""

from typing import Any

import pytest

from aiagentchat.render.approval import approval_text
from aiagentchat.render.fences import open_fence

ENDING = (
    "✅ allows it once, ❌ denies it; or `/approve`, `/deny reason` (or with `!`). Unanswered in 60 min it is denied."
)


@pytest.mark.parametrize(
    ("tool", "tool_input", "expected"),
    [
        pytest.param(
            "Bash",
            {"command": "ls\nrm x", "description": "List"},
            "Description: `List`\n\n```bash\nls\nrm x\n```",
            id="a command",
        ),
        pytest.param("Bash", {"command": "a\n```\nb"}, "````bash\na\n```\nb\n````", id="a command with a fence"),
        pytest.param("Bash", {"command": "\u202ex\x00"}, "```bash\n\\u202ex\\u0000\n```", id="a command with tricks"),
        pytest.param(
            "Bash",
            {"command": "x", "run_in_background": True},
            '```bash\nx\n```\n\n```json\n{\n  "run_in_background": true\n}\n```',
            id="whatever else is asked",
        ),
        pytest.param("Write", {"file_path": "a", "content": "b\n"}, "File: `a`\n\n```\nb\n\n```", id="a file"),
        pytest.param(
            "Write", {"file_path": "a\nb\t", "content": ""}, "File: `a\\nb\\t`\n\n```\n\n```", id="a strange path"
        ),
        pytest.param("Read", {"file_path": ""}, "File: ` `", id="an empty path"),
        pytest.param(
            "Edit",
            {"file_path": "a", "old_string": "1\n2", "new_string": "1\n3"},
            "File: `a`\n\n```diff\n--- before\n+++ after\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n```",
            id="an edit",
        ),
        pytest.param(
            "Edit",
            {"file_path": "a", "old_string": "1", "new_string": "1"},
            "File: `a`\n\n```diff\n(no change)\n```",
            id="an edit without a change",
        ),
        pytest.param("mcp__x", {"é": [1]}, '```json\n{\n  "é": [\n    1\n  ]\n}\n```', id="another tool"),
        pytest.param("Edit", {"old_string": 1}, '```json\n{\n  "old_string": 1\n}\n```', id="an edit of another shape"),
        pytest.param("Exit", {}, "```json\n{}\n```", id="no input"),
    ],
)
def test_the_whole_input_is_shown(tool: str, tool_input: dict[str, Any], expected: str) -> None:
    text = approval_text(tool, tool_input, who="Asked.", minutes=60)

    assert text == f"🔐 **May the agent use** `{tool}`**?**\n\n{expected}\n\nAsked.\n\n{ENDING}"
    assert open_fence(text) is None


def test_a_long_edit_is_shown_as_before_and_after() -> None:
    text = approval_text("Edit", {"old_string": "a\n" * 1500, "new_string": "b\n" * 1500}, who="Asked.", minutes=60)

    assert "Before:\n\n```\na\na\n" in text
    assert "After:\n\n```\nb\nb\n" in text


def test_a_tool_without_a_name_is_asked_about_too() -> None:
    assert approval_text("", {}, who="Asked.", minutes=1).startswith("🔐 **May the agent use** `?`**?**")


def test_where_reactions_do_not_count_the_question_asks_for_words() -> None:
    text = approval_text("Bash", {"command": "ls"}, who="Asked.", minutes=60, in_words=True)

    assert text.endswith("Reactions do not count in this room. Unanswered in 60 min it is denied.")
    assert all(word in text for word in ("`yes`", "`no`", "`/approve`", "`/deny reason`"))
    assert "✅" not in text
