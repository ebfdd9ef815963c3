"""What is typed in a room reaches the real CLI as it was typed, and what it says comes back whole."""

import re
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, numbered, script
from tests.e2e.house import move_in


async def test_a_message_is_answered_as_a_reply_with_a_footer(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(script("say hello", Step(text="Hello **Anna**.")))

        assert await house.ended(command) == "✅"
        message = await house.anna.until_message(house.room, "Hello **Anna**.", sender=house.account.user_id)
        assert message.kind == "m.text"
        assert message.reply_to == command
        assert "<strong>Anna</strong>" in message.html
        assert re.search(r"— \d+\.\d s · \$0\.0066 · 4\.2k tokens · session [\w-]+", message.body)
        assert message.content["m.mentions"] == {}
        assert "👀" in house.anna.reactions(house.room, command)
        assert house.anna.read_up_to(house.room, house.account.user_id)


async def test_a_long_answer_arrives_whole_and_in_order(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"file_after": 0}) as house:
        command = await house.ask(script("say much", Step(big=300_000)))

        answer = await house.answer(command, timeout=90)
        numbers = [int(number) for number in re.findall(r"^line (\d+)", answer, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) == numbered(300_000).count("line ")
        kinds = [m.kind for m in house.anna.view(house.room) if m.sender == house.account.user_id]
        assert kinds[0] == kinds[-1] == "m.text"
        assert set(kinds[1:-1]) == {"m.notice"}


async def test_words_are_shown_while_they_are_spoken(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        slow = Step(text="".join(f"word{n} " for n in range(40)), chunk=6, delay=0.1)
        command = await house.ask(script("speak slowly", slow))

        early = await house.anna.until_message(house.room, "word0", sender=house.account.user_id)
        assert "word39" not in early.body
        answer = await house.answer(command)
        assert [f"word{n}" in answer for n in range(40)] == [True] * 40
        final = await house.anna.until_message(house.room, "word39", sender=house.account.user_id)
        assert final.id == early.id
        assert 1 <= final.edits <= 6


TYPED = ("@/etc/passwd", "@bob:hs hello", "/usr/bin is full", "!important", "//help", "/cost?", "--version")


@pytest.mark.long
async def test_what_is_no_bot_command_reaches_the_agent_as_text(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        for text in TYPED:
            command = await house.ask(text)

            assert await house.ended(command) == "✅", text
            assert house.prompts(text)
            assert not house.prompts("root:x:0:0")


@pytest.mark.long
async def test_the_room_and_the_projects_instructions_reach_the_system_prompt(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        house.workspace().mkdir(parents=True)
        (house.workspace() / "CLAUDE.md").write_text("Always answer in rhyme, says the project of Zanzibar.")
        async with house.daemon:
            await house.settle_in()
            command = await house.ask("hello from the system prompt test")

            await house.ended(command)
            request = model.requests("hello from the system prompt test")[0]
            assert 'Matrix room "room0"' in request.system
            assert house.anna.id in request.system
            assert "the project of Zanzibar" in request.system


@pytest.mark.long
async def test_nothing_planted_in_the_workspace_or_home_runs(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        trace = workplace / "trace"
        hooks = {"SessionStart": [{"hooks": [{"type": "command", "command": f"touch {trace}-hook"}]}]}
        servers = {"mcpServers": {"planted": {"command": "touch", "args": [f"{trace}-mcp"]}}}
        settings = {
            "hooks": hooks,
            "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"},
            "apiKeyHelper": f"touch {trace}-key",
        }
        import json

        for folder in (house.workspace() / ".claude", house.daemon.data_dir / "homes/room0/.claude"):
            folder.mkdir(parents=True)
            (folder / "settings.json").write_text(json.dumps(settings))
            (folder / "settings.local.json").write_text(json.dumps(settings))
        (house.workspace() / ".mcp.json").write_text(json.dumps(servers))
        async with house.daemon:
            await house.settle_in()
            command = await house.ask("is anything planted here")

            assert await house.ended(command) == "✅"
            assert _traces(workplace) == []


def _traces(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("trace")]
