"""What a turn does to its room's conversation; commands of the agent's own, and of the project; the model of a room."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.agent_events import Ending, TurnEnded, TurnStarted
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import SetModel
from aiagentchat.core.ids import SessionId
from aiagentchat.core.ports.agent import Prompt
from aiagentchat.render import session_words, words
from tests.contract.store_fixtures import OTHER_ROOM, OTHER_SESSION, ROOM, SESSION, accept, command, settle
from tests.fakes.agent import Emit, End, Say, ScriptedAgent, Step, plays
from tests.unit.execute_house import open_house, plant

NEW = SessionId("5e551011-0000-4000-8000-00000000000a")
CLEAR = replace(command("$clear"), text="/agent clear", own="clear")


# ── a conversation that is left ──


def leaves(prompt: Prompt) -> list[Step]:
    """An agent that leaves its conversation when it is told to."""
    return [Emit((TurnStarted(NEW),))] if prompt.own == "clear" else [Say("So.")]


async def test_a_conversation_that_the_agent_leaves_is_followed(tmp_path: Path) -> None:
    agent = ScriptedAgent(leaves)
    async with open_house(tmp_path, agent) as house:
        agent.sessions.add(NEW)
        await house.execute(command("$1"))
        await house.send_all()
        await house.execute(CLEAR)
        cleared = await house.read()
        await house.execute(replace(command("$2"), session=NEW))
        current = await house.ledger.sessions.current(ROOM)

    assert current == NEW
    assert f"{session_words.OWN_DONE['clear']}\n\n— 0.0 s · session make-tea-2" in cleared
    assert [(run.spec.session, run.spec.resume) for run in agent.runs] == [(SESSION, False), (NEW, True)]


async def test_the_old_one_is_still_there_and_is_opened_anew(tmp_path: Path) -> None:
    agent = ScriptedAgent(leaves)
    async with open_house(tmp_path, agent) as house:
        await house.execute(CLEAR)
        await house.execute(command("$later"))
        runs = [(run.spec.session, run.spec.resume, run.alive) for run in agent.runs]

    assert runs == [(SESSION, False, False), (SESSION, True, True)]


@pytest.mark.parametrize("said", ["../../etc", "", "another room's"])
async def test_what_is_no_conversation_of_the_room_is_not_followed(tmp_path: Path, said: str) -> None:
    new = OTHER_SESSION if said == "another room's" else SessionId(said)
    async with open_house(tmp_path, plays(Emit((TurnStarted(new),)), Say("So."))) as house:
        await accept(house.ledger, command("$there", OTHER_ROOM, OTHER_SESSION))
        await house.execute(command("$1"))

        assert await house.ledger.sessions.current(ROOM) == SESSION
        assert await house.state("$1") is CommandState.DONE


# ── commands of the agent's own ──


async def test_a_command_of_the_agents_own_is_run_in_place_of_the_text(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays()) as house:
        await house.execute(replace(command("$1"), text="/agent compact", own="compact"))
        [prompt] = house.agent.runs[0].prompts
        shown = await house.read()

    assert (prompt.own, prompt.text) == ("compact", "/agent compact")
    assert shown[0].startswith(session_words.OWN_DONE["compact"])


async def test_what_it_says_itself_is_said(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Error: No messages to compact"))) as house:
        await house.execute(replace(command("$1"), own="compact"))

        assert (await house.read())[0].startswith("Error: No messages to compact")


async def test_what_it_had_said_before_is_not_said_again(tmp_path: Path) -> None:
    ended = End(TurnEnded(ending=Ending.COMPLETED, text="an answer from before"))
    async with open_house(tmp_path, plays(ended)) as house:
        await house.execute(replace(command("$1"), own="compact"), replace(command("$2"), own="cost"))
        shown = await house.read()

    assert session_words.OWN_DONE["compact"] in shown[0]
    assert "an answer from before" in shown[1]


async def test_one_without_a_word_is_no_empty_answer(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays()) as house:
        await house.execute(*[replace(command(f"${number}"), own="compact") for number in range(3)])

        assert [run.alive for run in house.agent.runs] == [True]


# ── commands of the project ──


async def test_a_command_of_the_project_is_expanded_when_its_turn_starts(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        plant(house, "fix", "---\nallowed-tools: Bash\n---\nFix issue $1.")
        await house.execute(replace(command("$1"), text="/fix 12"), replace(command("$2"), text="/other 12"))

        assert [prompt.text for prompt in house.agent.runs[0].prompts] == ["Fix issue 12.", "/other 12"]


async def test_what_a_project_writes_into_its_command_names_no_file_and_what_is_typed_does(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        workspace = plant(house, "fix", "Fix @secret.txt: $1.").parents[2]
        (workspace / "secret.txt").write_text("not read in")
        (workspace / "bug.txt").write_text("read in")
        await house.execute(replace(command("$1"), text="/fix @bug.txt"))

        [prompt] = house.agent.runs[0].prompts
    assert prompt.text.startswith("Fix @secret.txt: @bug.txt.")
    assert "read in" in prompt.text.replace("not read in", "!")
    assert "not read in" not in prompt.text


async def test_a_file_that_is_a_link_is_not_read_and_the_room_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        file = plant(house, "fix", "x")
        file.rename(tmp_path / "secret")
        file.symlink_to(tmp_path / "secret")
        await house.execute(replace(command("$1"), text="/fix 12"))
        shown = await house.read()

        assert house.agent.runs == []
        assert await house.state("$1") is CommandState.FAILED
    assert shown[0].startswith(session_words.CUSTOM_NOT_OPENED)
    assert shown[-1] == "❌"


# ── the model ──


async def test_the_model_that_a_room_has_set_comes_before_that_of_the_settings(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(command("$1"))
        await settle(house.ledger, SetModel(ROOM, "opus"), event="$model")
        await house.execute(command("$2"))
        await settle(house.ledger, SetModel(ROOM, None), event="$default")
        await house.execute(command("$3"))

        assert [(run.spec.model, run.spec.resume) for run in house.agent.runs] == [
            (None, False),
            ("opus", True),
            (None, True),
        ]


# ── names ──


async def test_where_a_conversation_has_no_name_its_id_is_shown(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(replace(command("$1"), own="cost"))

        assert (await house.read())[0] == f"So.\n\n— 0.0 s · session {words.short(SESSION)}"
