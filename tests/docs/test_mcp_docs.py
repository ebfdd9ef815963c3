"""docs/reference/mcp.md lists the tools, arguments and limits that there are, the how-to what is typed."""

import re
from pathlib import Path

from aiagentchat.agents.claude_code.speaking import AT_ONCE, MOST_ASKED, MOST_WRITTEN
from aiagentchat.cli.exchange.mcp import BY_PATH
from aiagentchat.core.exchange import CODES
from aiagentchat.exchange import tool_words
from aiagentchat.exchange.filing import IN_ARGUMENTS, MIB, MOST_FILE
from aiagentchat.exchange.tools import (
    ASK_SECONDS,
    MOST_ASK_SECONDS,
    MOST_PAGE,
    MOST_TEXT,
    Audience,
    fields_of,
    offered,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/mcp.md").read_text(encoding="utf-8")
RUN = Audience(is_run=True)
SESSION = Audience(files={**IN_ARGUMENTS, **BY_PATH})
FILE = {"path": "run, `cchat mcp`", "name": "`/mcp`", "content": "`/mcp`", "caption": "all"}


def _who(in_run: bool, in_session: bool) -> str:
    return "all" if in_run and in_session else "run" if in_run else "session"


def test_the_reference_lists_exactly_the_tools_there_are() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| (all|run|session) \| [A-Z]", PAGE, re.MULTILINE))
    there = {(name, _who(name in offered(RUN) or name == "send_file", name in offered(SESSION))) for name in _names()}

    assert listed == there


def _names() -> set[str]:
    return {*offered(RUN), *offered(SESSION)}


def test_the_reference_lists_exactly_the_arguments_there_are() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| `(\w+\*?)` \| (\w+) \| ([^|]+) \|", PAGE, re.MULTILINE))
    there = set()
    for name in _names():
        in_run = fields_of(offered(RUN)[name], RUN) if name in offered(RUN) else {}
        in_session = fields_of(offered(SESSION)[name], SESSION) if name in offered(SESSION) else {}
        for argument, field in {**in_run, **in_session}.items():
            who = _who(argument in in_run, argument in in_session)
            who = FILE.get(argument, who) if name == "send_file" else who
            there.add((name, f"{argument}*" if field.required else argument, field.type, who))

    assert listed == there


def test_the_reference_has_the_limits_there_are() -> None:
    limits = [line.rpartition("| ")[2].rstrip(" |") for line in PAGE.partition("## Limits")[2].splitlines()[4:14]]

    assert limits == [
        f"{ASK_SECONDS} s",
        f"{MOST_ASK_SECONDS} s",
        str(MOST_PAGE),
        str(tool_words.MOST_OF_ONE),
        str(tool_words.MOST_ANSWER),
        str(MOST_TEXT),
        str(AT_ONCE),
        str(MOST_WRITTEN),
        str(MOST_ASKED),
        f"{MOST_FILE // MIB} MiB",
    ]


def test_the_reference_names_every_code_and_the_sentence_that_marks_data() -> None:
    assert tool_words.DATA in PAGE
    for code in CODES:
        assert f"`{code}`" in PAGE


def test_the_skill_has_the_front_matter_that_it_needs() -> None:
    text = (ROOT / "deploy/skill/cchat/SKILL.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    said = dict(line.split(": ", 1) for line in front.splitlines())

    assert said["name"] == "cchat"
    assert 0 < len(said["description"]) <= 1024
    named = set(re.findall(r"`(\w+)`", body)) & {*_names()}
    assert {"who", "rooms", "ask", "assign_task", "tasks", "send", "update_task", "read"} <= named
