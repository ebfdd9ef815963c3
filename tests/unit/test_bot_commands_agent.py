"""/model and /agent, and the commands that a project brings along."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.schema import Agent
from aiagentchat.core.agent_commands import OWN
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.messages import Kind
from aiagentchat.render import session_words, words
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, GARDEN, KITCHEN, ROOM, VERA, settings, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(replace(KITCHEN, model="sonnet"), GARDEN, workspaces=tmp_path / "rooms")
        yield opened


def plant(front: Front, name: str, text: str = "Fix $1.") -> None:
    folder = front.settings.workspaces / "kitchen/.claude/commands"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)


# ── the model ──


async def test_a_user_sees_the_model_and_an_admin_sets_it(front: Front) -> None:
    assert await front.told(typed("/model")) == [session_words.model_shown(None, "sonnet")]
    assert await front.told(typed("/model opus", sender=ANNA)) == [words.only_admins("model")]
    assert await front.ledger.rooms.model(ROOM) is None
    assert await front.told(typed("/model Opus", sender=ADA)) == [session_words.model_set("opus")]

    assert await front.told(typed("/model")) == [session_words.model_shown("opus", "sonnet")]
    [told] = await front.told(typed("/status"))
    assert "model `opus`" in told
    [line] = await front.ledger.audit.lines(AuditFilter(kind=AuditKind.SETTING), limit=9)
    assert (line.deed.actor, line.deed.detail) == (ADA, {"name": "model", "model": "opus"})


async def test_default_takes_what_config_yaml_says(front: Front) -> None:
    await front.hear(typed("/model opus", sender=ADA))
    await front.deliver()

    assert await front.told(typed("/model default", sender=ADA)) == [session_words.model_reset("sonnet")]
    assert await front.ledger.rooms.model(ROOM) is None


async def test_a_slip_in_a_model_changes_nothing_and_gets_the_nearest(front: Front) -> None:
    told = await front.told(typed("/model sonet", sender=ADA), typed("/model gpt", sender=ADA))

    assert told == [session_words.no_such_model("sonet", "sonnet"), session_words.no_such_model("gpt", "")]
    assert await front.ledger.rooms.model(ROOM) is None


async def test_a_name_that_the_operator_has_chosen_for_an_agent_is_a_model(front: Front) -> None:
    front.settings = replace(front.settings, agents={"claude": Agent(model="house-model")})

    assert await front.told(typed("/model house-model", sender=ADA)) == [session_words.model_set("house-model")]


# ── the agent's own commands ──


async def test_agent_alone_lists_its_commands_and_those_of_the_project(front: Front) -> None:
    assert await front.told(typed("/agent")) == [session_words.agent_commands(OWN, [])]
    plant(front, "fix-issue")

    assert await front.told(typed("/agent")) == [session_words.agent_commands(OWN, ["fix-issue"])]


async def test_a_command_of_the_list_is_queued_as_a_message_is(front: Front) -> None:
    said = typed("!agent Compact")
    await front.hear(typed("tea"), said)

    tea, queued = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.own, queued.text) == (said.event, "compact", "/agent compact")
    assert queued.session == tea.session
    bodies = [parcel.content.get("body") for parcel in await front.deliver()]
    assert words.queue_place(1) in bodies


@pytest.mark.parametrize(
    ("typed_behind", "nearest"), [("compakt", "compact"), ("exit", ""), ("compact @/etc/passwd", "compact")]
)
async def test_anything_else_is_not_run(front: Front, typed_behind: str, nearest: str) -> None:
    assert await front.told(typed(f"/agent {typed_behind}")) == [session_words.no_such_own(typed_behind, nearest)]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_only_admins_have_the_agent_take_another_model(front: Front) -> None:
    assert await front.told(typed("/agent model opus")) == [words.only_admins("agent model")]
    await front.hear(typed("/agent model opus", sender=ADA))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert queued.own == "model opus"


async def test_what_is_run_in_place_of_a_text_cannot_be_changed_by_an_edit(front: Front) -> None:
    said = typed("/agent compact")
    await front.hear(said)
    await front.deliver()

    assert await front.told(replace(typed("/config"), kind=Kind.EDIT, target=said.event)) == [
        session_words.OWN_NOT_CHANGED
    ]
    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.own, queued.text) == ("compact", "/agent compact")


async def test_retry_runs_the_command_again_and_not_its_text(front: Front) -> None:
    said = typed("/agent compact")
    await front.hear(said)
    assert await front.ledger.commands.start(said.event, 1)
    assert await front.ledger.commands.finish(said.event, CommandState.FAILED, TurnRecord(), [], 2)
    await front.hear(typed("/retry"))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.own, queued.origin) == ("compact", said.event)


# ── commands of the project ──


async def test_a_command_of_the_project_is_queued_as_it_was_typed(front: Front) -> None:
    plant(front, "fix-issue")
    said = typed("/fix-issue 12")
    await front.hear(said)

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text, queued.own) == (said.event, "/fix-issue 12", "")


async def test_a_slip_of_a_projects_command_gets_its_name(front: Front) -> None:
    plant(front, "deploy")

    assert await front.told(typed("/deplyo")) == [words.unknown_command("deplyo", "deploy")]


async def test_a_viewer_runs_no_command_of_the_project(front: Front) -> None:
    plant(front, "deploy")

    assert await front.told(typed("/deploy", sender=VERA)) == [words.VIEWER_MAY_NOT_RUN]


async def test_a_file_does_not_take_the_name_of_a_bot_command(front: Front) -> None:
    plant(front, "version", "planted")

    assert await front.told(typed("/version")) == ["aiagentchat 1.2.3"]


async def test_one_that_came_late_is_announced_with_the_others(front: Front) -> None:
    plant(front, "deploy")
    late = 20 * 60_000
    await front.hear(typed("tea", late_ms=late), typed("/deploy", late_ms=late))

    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["tea", "/deploy"]
    announced = [parcel.content.get("body", "") for parcel in await front.deliver()]
    assert sum("2 messages" in body for body in announced) == 1
