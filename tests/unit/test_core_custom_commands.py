"""Commands of a project: how they are called, and what the agent reads."""

import pytest

from aiagentchat.core.custom_commands import called, expanded


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("/fix-issue 12 now", ("fix-issue", "12 now")),
        ("!fix_issue", ("fix_issue", "")),
        ("/a\nlines\n", ("a", "lines")),
        ("/Fix", None),
        ("//fix", None),
        ("/usr/bin is full", None),
        ("please /fix", None),
        ("/-x", None),
        ("/x.md", None),
        ("/" + "x" * 65, None),
    ],
)
def test_a_message_calls_a_command_by_its_name_alone(body: str, found: tuple[str, str] | None) -> None:
    assert called(body) == found


@pytest.mark.parametrize(
    ("file", "arguments", "text"),
    [
        pytest.param("Fix $ARGUMENTS.\n", "12 now", "Fix 12 now.", id="all that was typed"),
        pytest.param("Fix $1 by $2 ($3)", "12 'next week'", "Fix 12 by next week ()", id="its words"),
        pytest.param("Fix $1", 'an "open end', "Fix an", id="a quotation that does not end"),
        pytest.param("$1 $ARGUMENTS", "$2 $ARGUMENTS", "$2 $2 $ARGUMENTS", id="what was typed is not expanded again"),
        pytest.param("Fix it.", "12", "Fix it.\n\nArguments: 12", id="no place for them"),
        pytest.param("Fix it.", "", "Fix it.", id="nothing typed"),
        pytest.param("Costs $10", "x", "Costs x0", id="a number is a place"),
        pytest.param("---\nallowed-tools: Bash\n---\nFix it.", "", "Fix it.", id="front matter is ignored"),
        pytest.param("\ufeff---\r\na: b\r\n---\r\nFix it.", "", "Fix it.", id="with other line ends"),
        pytest.param("---\nFix it.", "", "---\nFix it.", id="a line that opens nothing"),
        pytest.param("!`id` @/etc/passwd", "", "!`id` @/etc/passwd", id="nothing is run or read in"),
    ],
)
def test_the_agent_reads_the_text_with_what_was_typed_in_it(file: str, arguments: str, text: str) -> None:
    assert expanded(file, arguments) == text
