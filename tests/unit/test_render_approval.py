"""A person sees everything that would run."""

from typing import Any

import pytest

from aiagentchat.core.approvals import Scope
from aiagentchat.core.choices import Choice, Option
from aiagentchat.render import asking_words
from aiagentchat.render.approval import (
    MOST_SHOWN_AGAIN,
    Asking,
    choice_question,
    choice_text,
    plan_question,
    plan_text,
    request_text,
    tool_question,
)
from aiagentchat.render.away import AS_ASKED_ABOVE
from aiagentchat.render.fences import open_fence
from aiagentchat.render.message import PAGE_BYTES

ASKED = Asking(who="Asked.", minutes=60, digest="0123456789abcdef")
ENDING = (
    "✅ allows it once, ♾️ allows exactly this request until this conversation ends, ❌ denies it. Or reply `yes`, "
    "`always`, or `no` and why; or `/approve`, `/approve always`, `/deny reason` (or with `!`). Unanswered in 60 min "
    "it is denied. Request `01234567`."
)


def approval_text(tool: str, tool_input: dict[str, Any]) -> str:
    return tool_question(tool, tool_input, ASKED).text


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
    text = approval_text(tool, tool_input)

    assert text == f"🔐 **May the agent use** `{tool}`**?**\n\n{expected}\n\nAsked.\n\n{ENDING}"
    assert open_fence(text) is None


def test_a_long_edit_is_shown_as_before_and_after() -> None:
    text = approval_text("Edit", {"old_string": "a\n" * 1500, "new_string": "b\n" * 1500})

    assert "Before:\n\n```\na\na\n" in text
    assert "After:\n\n```\nb\nb\n" in text


def test_a_tool_without_a_name_is_asked_about_too() -> None:
    assert approval_text("", {}).startswith("🔐 **May the agent use** `?`**?**")


def test_where_reactions_do_not_count_the_question_asks_for_words() -> None:
    asked = Asking(who="Asked.", minutes=60, in_words=True, digest="0123456789")
    text = tool_question("Bash", {"command": "ls"}, asked, scope=Scope.COMMAND).text

    assert text.endswith("Reactions do not count in this room. Unanswered in 60 min it is denied. Request `01234567`.")
    assert all(word in text for word in ("`yes`", "`no`", "`always`", "`/approve`", "`/deny reason`"))
    assert "this exact command" in text
    assert "✅" not in text


def test_the_question_says_how_much_is_allowed_for_good() -> None:
    text = tool_question("Edit", {"file_path": "a"}, ASKED, scope=Scope.FILE).text

    assert "♾️ allows `Edit` on this exact file until this conversation ends" in text


# ── what is longer than a message ──


def test_a_long_command_is_shown_in_part_and_whole_in_a_file() -> None:
    command = "echo begins\n" + "echo é\n" * 3_000 + "rm -rf /"
    question = tool_question("Bash", {"command": command, "description": "Tidy"}, ASKED)

    assert question.file is not None
    assert (question.file.name, question.file.mime, question.file.text) == ("Bash-01234567.sh", "text/plain", command)
    assert len(question.text.encode()) <= PAGE_BYTES
    assert question.text.index("echo begins") < question.text.index("✂️") < question.text.index("rm -rf /\n```")
    assert asking_words.whole_in_file("Bash-01234567.sh") in question.text
    assert "Description: `Tidy`" in question.text
    assert question.text.endswith(ENDING)
    assert open_fence(question.text) is None


def test_a_long_change_is_a_diff_in_the_file() -> None:
    question = tool_question(
        "Edit", {"file_path": "a", "old_string": "1\n" * 900, "new_string": "22222\n" * 900}, ASKED
    )

    assert question.file is not None
    assert question.file.name == "Edit-01234567.diff"
    assert question.file.text.startswith("--- before\n+++ after\n@@")
    assert "```diff\n--- before" in question.text


@pytest.mark.parametrize(
    "tool_input",
    [
        pytest.param({"old_string": "a\n" * 3_000, "new_string": "b\n" * 3_000}, id="two long parts"),
        pytest.param({"file_path": "p" * 9_000, "content": "x"}, id="a long label"),
        pytest.param({"file_path": "p" * 400, "content": "y" * 8_000}, id="a label and a part"),
    ],
)
def test_what_is_long_in_more_than_one_place_is_a_file_of_all_of_it(tool_input: dict[str, Any]) -> None:
    question = tool_question("Edit" if "old_string" in tool_input else "Write", tool_input, ASKED)

    assert question.file is not None
    assert question.file.name.endswith("-01234567.md")
    assert all(text.strip() in question.file.text for text in tool_input.values())
    assert len(question.text.encode()) <= PAGE_BYTES


def test_a_file_has_a_name_whatever_the_tool_is_called() -> None:
    question = tool_question("../é", {"x": "y" * 9_000}, Asking(who="Asked.", minutes=1))

    assert question.file is not None
    assert question.file.name == "request-request.json"


def test_what_is_shown_again_is_short() -> None:
    assert request_text("Bash", {"command": "x" * MOST_SHOWN_AGAIN}) == f"🔐 `Bash`\n\n{AS_ASKED_ABOVE}"
    assert request_text("Bash", {"command": "ls"}) == "🔐 `Bash`\n\n```bash\nls\n```"
    assert plan_text("# One") == "📋\n\n# One"
    assert plan_text("x" * (MOST_SHOWN_AGAIN + 1)) == f"📋 {AS_ASKED_ABOVE}"


# ── plans, and the agent's own questions ──


def test_a_plan_is_markdown_and_its_answers_are_numbered() -> None:
    question = plan_question("# Plan\n\n- bake\n```\nopen", ASKED)

    assert question.file is None
    assert "# Plan\n\n- bake\n```\nopen\n```\n\n1. carry it out\n2. carry it out, and" in question.text
    assert question.text.splitlines()[-1].startswith("Tap a number (✅ is 1, ❌ is 3)")
    assert question.text.endswith("Request `01234567`.")


@pytest.mark.parametrize("digest", ["0123456789", ""])
def test_a_long_plan_is_shown_in_part_and_whole_in_a_file(digest: str) -> None:
    plan = "\n\n".join(f"## Step {number}\n\nDo it." for number in range(800))
    question = plan_question(plan, Asking(who="Asked.", minutes=60, in_words=True, digest=digest))

    assert question.file is not None
    assert question.file.name == f"plan-{digest[:8] or 'request'}.md"
    assert question.file.text == plan
    assert "## Step 1\n" in question.text
    assert "✂️" in question.text
    assert len(question.text.encode()) <= PAGE_BYTES
    assert "Reactions do not count in this room." in question.text


MILK = Choice(question="Milk?", header="Tea", options=(Option("Yes\n please", "with \u202emilk"), Option("No")))


def test_a_question_with_choices_numbers_them() -> None:
    text = choice_question(MILK, ASKED, number=2, of=3).text

    assert text.startswith(
        "❓ **The agent asks** (2 of 3): Tea\n\nMilk?\n\n1. **Yes please** – with \\u202emilk\n2. **No**\n\nAsked."
    )
    assert text.endswith(asking_words.choice_answers(many=False, minutes=60, in_words=False))


def test_a_question_that_takes_several_says_how() -> None:
    many = Choice(question="Which?", options=(Option("A"), Option("B")), many=True)

    assert "for each that you want, then ✅" in choice_question(many, ASKED).text
    assert choice_question(many, ASKED).text.startswith("❓ **The agent asks**\n\nWhich?")
    in_words = choice_question(many, Asking(who="Asked.", minutes=60, in_words=True)).text
    assert "Reply with a number or more (`1,3`), or in your own words." in in_words
    assert "✅" not in in_words


def test_what_a_choice_would_look_like_is_shown_above_the_choices() -> None:
    looks = Choice(
        question="Which?", options=(Option("A", preview="+--+\n|\u202ea|"), Option("B"), Option("C", preview=" "))
    )

    question = choice_question(looks, ASKED)
    assert "Which?\n\n**1. A**\n\n```\n+--+\n|\\u202ea|\n```\n\n1. **A**\n2. **B**\n3. **C**" in question.text
    assert question.file is None


def test_looks_that_are_too_long_for_a_message_are_a_file() -> None:
    looks = Choice(question="Which?", options=(Option("A", preview="x\n" * 9_000), Option("B", preview="y")))

    question = choice_question(looks, ASKED)
    assert question.file is not None
    assert question.file.text.startswith("**1. A**\n\n```\nx\n")
    assert question.file.text.endswith("**2. B**\n\n```\ny\n```")
    assert question.file.name in question.text
    assert "x\nx" not in question.text


def test_a_question_with_choices_is_shown_again_with_them() -> None:
    assert choice_text(MILK) == "❓ Milk?\n\n1. Yes please\n2. No"
    long = Choice(question="Q" * 3_000, options=tuple(Option("x" * 400) for _ in range(12)))
    assert choice_text(long) == AS_ASKED_ABOVE
