"""What is typed with /now: a part of the turn that runs, or a turn of its own, and never both."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from aiagentchat.core.access import Hindrance
from aiagentchat.core.agent_events import Ending, Failure, TurnEnded, UsageLimited
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import RequestStop
from aiagentchat.core.errors import AgentDied
from aiagentchat.core.ids import EventId, SessionId, message_uuid
from aiagentchat.execute.recovery import report_interrupted
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.execute.steering import Given
from aiagentchat.render import session_words, steering_words, words
from tests.contract.store_fixtures import ANNA, BERT, NOW, ROOM, accept, command, parcel, settle
from tests.fakes.agent import Emit, End, Fail, Hang, Reach, Say, ScriptedAgent, ScriptedRun, Step, Use, Wait
from tests.unit.execute_house import PATIENCE, House, make_spec, open_house, plant

HOST, MORE, STILL_MORE = (EventId(f"${name}") for name in ("host", "more", "still-more"))
TOUCH = Use("Bash", {"command": "touch tea"})


def now(event: EventId, text: str = "with milk") -> Command:
    return replace(command(event), text=text, urgent=True)


class Scene:
    """A room whose executor runs beside the test: the host plays `plan`, everything else says its own text."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.executor = RoomExecutor(ROOM, house.shop)

    @property
    def run(self) -> ScriptedRun:
        return self.house.agent.runs[-1]

    @property
    def prompts(self) -> list[str]:
        return [prompt.text for run in self.house.agent.runs for prompt in run.prompts]

    async def go(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.executor.run(others_wait=lambda: False)

    async def type(self, *commands: Command) -> None:
        await accept(self.house.ledger, *commands)
        self.executor.nudge.set()

    async def until_given(self, count: int = 1) -> None:
        """Until the agent was given so much beside its own prompt."""
        async with asyncio.timeout(PATIENCE):
            await self.run.until_offered(count)

    async def decide(self, state: ApprovalState = ApprovalState.ALLOWED) -> None:
        await self.house.decide((await self.house.question()).id, state)
        self.executor.nudge.set()

    async def states(self, *events: EventId) -> list[CommandState]:
        return [await self.house.state(event) for event in events]


def plays(*steps: Step) -> ScriptedAgent:
    """The host's turn is these steps; what is asked else is said again."""
    return ScriptedAgent(lambda prompt: steps if prompt.uuid == message_uuid(HOST) else [Say(f"{prompt.text}!")])


async def play(
    folder: Path, agent: ScriptedAgent, story: Callable[[Scene], Awaitable[None]], *before: Command
) -> tuple[Scene, list[str]]:
    """Run the host and the story beside it, to the end of the queue; what the room reads."""
    async with open_house(folder, agent) as house:
        await accept(house.ledger, command(HOST), *before)
        scene = Scene(house)
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.go())
            await story(scene)
        scene.ended = await scene.states(HOST, MORE)  # type: ignore[attr-defined]
        return scene, [text.partition("\n")[0] for text in await house.read()]


# ── folded ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_the_agent_reads_in_the_turn_ends_with_it_and_says_nothing_more(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.house.question()
        await scene.type(now(MORE))
        await scene.until_given()
        await scene.decide()

    scene, read = await play(tmp_path, plays(Say("I will."), TOUCH, Say("never said")), story)

    assert scene.ended == [CommandState.DONE, CommandState.DONE]  # type: ignore[attr-defined]
    assert scene.prompts == ["make tea", "with milk"]
    assert [text for text in read if "milk" in text] == ["with milk!"]
    assert read.count("✅") == 2


async def test_it_is_written_down_as_running_in_that_turn(tmp_path: Path) -> None:
    seen: list[Command | None] = []

    async def story(scene: Scene) -> None:
        await scene.house.question()
        await scene.type(now(MORE))
        await scene.until_given()
        seen.append(await scene.house.ledger.commands.get(MORE))
        await scene.decide(ApprovalState.DENIED)

    await play(tmp_path, plays(TOUCH, Say("So.")), story)

    [found] = seen
    assert found is not None
    assert (found.state, found.host) == (CommandState.RUNNING, HOST)


async def test_what_came_before_the_agent_had_begun_is_given_when_it_has(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.house.question()
        await scene.until_given()
        await scene.decide()

    async with open_house(tmp_path, plays(TOUCH, Say("So."))) as house:
        await accept(house.ledger, command(HOST))
        assert await house.ledger.commands.start(HOST, NOW)
        await accept(house.ledger, now(MORE))
        scene = Scene(house)
        found = await house.ledger.commands.get(HOST)
        assert found is not None
        async with asyncio.TaskGroup() as group:
            going = group.create_task(scene.executor._run(found, scene.executor._steering(found)))
            await story(scene)

        assert going.result() == []
        assert await scene.states(HOST, MORE) == [CommandState.DONE, CommandState.DONE]


async def test_a_stop_ends_what_the_turn_was_given_with_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.house.question()
        await scene.type(now(MORE))
        await scene.until_given()
        await settle(scene.house.ledger, RequestStop(HOST, ANNA), event="$stop")
        scene.executor.nudge.set()

    scene, read = await play(tmp_path, plays(TOUCH, Say("never said")), story)

    assert scene.ended == [CommandState.CANCELLED, CommandState.CANCELLED]  # type: ignore[attr-defined]
    assert read.count("🛑") == 2
    assert words.stopped(ANNA) in read


# ── not folded ────────────────────────────────────────────────────────────────────────────────────────────────────


def ends_late(gate: asyncio.Event, here: asyncio.Event) -> ScriptedAgent:
    """An agent whose turn uses no tool any more, and ends when the gate opens."""
    return plays(Say("Tea is ready."), Reach(here), Wait(gate))


async def test_what_came_too_late_is_a_turn_of_its_own_before_all_that_waits(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()

    async def story(scene: Scene) -> None:
        await here.wait()
        await scene.type(replace(command("$waits"), text="later"), now(MORE))
        await scene.until_given()
        gate.set()

    scene, read = await play(tmp_path, ends_late(gate, here), story)

    assert scene.ended == [CommandState.DONE, CommandState.DONE]  # type: ignore[attr-defined]
    assert scene.prompts == ["make tea", "with milk", "later"]
    assert [text for text in read if text[-1] in ".!"] == ["Tea is ready.", "with milk!", "later!"]
    assert read.count("✅") == 3
    assert len(scene.house.agent.runs) == 1


async def test_what_the_run_goes_on_with_is_not_swept_away(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()

    async def story(scene: Scene) -> None:
        await here.wait()
        await scene.type(now(MORE))
        await scene.until_given()
        gate.set()

    scene, _ = await play(tmp_path, ends_late(gate, here), story)

    assert scene.run.settled == 1


async def test_several_that_came_too_late_are_turns_one_after_the_other(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()

    async def story(scene: Scene) -> None:
        await here.wait()
        await scene.type(now(MORE), now(STILL_MORE, "and sugar"))
        await scene.until_given(2)
        gate.set()

    scene, read = await play(tmp_path, ends_late(gate, here), story)

    assert scene.prompts == ["make tea", "with milk", "and sugar"]
    assert [text for text in read if text[-1] in ".!"] == ["Tea is ready.", "with milk!", "and sugar!"]
    assert read.count("✅") == 3


async def test_what_the_run_did_not_take_any_more_is_asked_as_usual(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()

    async def story(scene: Scene) -> None:
        await here.wait()
        scene.house.agent.takes_more = False
        await scene.type(now(MORE))
        await scene.until_given()
        gate.set()

    scene, read = await play(tmp_path, ends_late(gate, here), story)

    assert scene.prompts == ["make tea", "with milk"]
    assert [text for text in read if text[-1] in ".!"] == ["Tea is ready.", "with milk!"]
    assert scene.run.settled == 2


async def test_what_a_run_had_that_is_gone_is_not_asked_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent()) as house:
        await accept(house.ledger, now(MORE))
        assert await house.ledger.commands.start(MORE, NOW)

        assert await RoomExecutor(ROOM, house.shop)._carry_on(Given(now(MORE), is_out=True)) == []
        assert await house.state(MORE) is CommandState.FAILED
        assert (await house.read())[0].startswith(AgentDied.human)
        assert house.agent.runs == []


async def test_a_turn_that_dies_takes_along_what_it_was_given(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()
    agent = plays(Say("Te"), Reach(here), Wait(gate), Fail(AgentDied("scripted")))

    async def story(scene: Scene) -> None:
        await here.wait()
        await scene.type(now(MORE))
        await scene.until_given()
        gate.set()

    scene, read = await play(tmp_path, agent, story)

    assert scene.ended == [CommandState.FAILED, CommandState.FAILED]  # type: ignore[attr-defined]
    assert read.count("❌") == 2


async def test_a_turn_that_waits_for_a_usage_limit_says_what_it_has_not_read(tmp_path: Path) -> None:
    gate, here = asyncio.Event(), asyncio.Event()
    refused = TurnEnded(ending=Ending.FAILED, failure=Failure.USAGE_LIMIT)
    agent = plays(Say("Te"), Reach(here), Wait(gate), Emit((UsageLimited(NOW + 60_000),)), End(refused))

    async def story(scene: Scene) -> None:
        await here.wait()
        await scene.type(now(MORE))
        await scene.until_given()
        gate.set()
        async with asyncio.timeout(PATIENCE):
            while await scene.house.state(MORE) is CommandState.RUNNING:
                await scene.house.ledger.commands.bell.wait(PATIENCE)
        await settle(scene.house.ledger, RequestStop(HOST, ANNA), event="$stop")
        scene.executor.nudge.set()

    scene, read = await play(tmp_path, agent, story)

    assert scene.ended == [CommandState.CANCELLED, CommandState.FAILED]  # type: ignore[attr-defined]
    assert steering_words.NOT_READ in read


# ── what is not given ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_may_not_any_more_is_not_heard_in_the_turn_and_others_are(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        await accept(house.ledger, command(HOST), replace(now(MORE), sender=BERT), now(STILL_MORE))
        assert await house.ledger.commands.start(HOST, NOW)
        run = await house.agent.open(make_spec())
        await Scene(house).executor._steering(command(HOST)).look(run)

        assert run.offered == 1
        assert await Scene(house).states(MORE, STILL_MORE) == [CommandState.QUEUED, CommandState.RUNNING]


async def test_what_another_conversation_waits_for_does_not_hold_up_this_one(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        elsewhere = replace(now(MORE), session=SessionId("of a thread"))
        await accept(house.ledger, command(HOST), elsewhere, now(STILL_MORE))
        assert await house.ledger.commands.start(HOST, NOW)
        run = await house.agent.open(make_spec())
        await Scene(house).executor._steering(command(HOST)).look(run)

        assert run.offered == 1
        assert await Scene(house).states(MORE, STILL_MORE) == [CommandState.QUEUED, CommandState.RUNNING]


class HinderedOnce:
    """Doors that do not let the first through, and then everybody."""

    def __init__(self) -> None:
        self._asked = 0

    async def hindrance(self, command: Command) -> Hindrance | None:  # noqa: ARG002 - the port has it
        self._asked += 1
        return Hindrance.UNKNOWN if self._asked == 1 else None


async def test_what_one_person_says_is_not_given_in_another_order(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        await accept(house.ledger, command(HOST), now(MORE), now(STILL_MORE))
        assert await house.ledger.commands.start(HOST, NOW)
        run = await house.agent.open(make_spec())
        steering = Scene(house).executor._steering(command(HOST))
        steering._doors = HinderedOnce()  # type: ignore[assignment]
        await steering.look(run)
        assert run.offered == 0

        await steering.look(run)
        assert run.offered == 2


async def test_a_command_of_the_project_is_expanded_for_the_running_turn_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        file = plant(house, "fix", "Fix issue $1.")
        prompt_of = Scene(house).executor._prompt_of

        assert (await prompt_of(now(MORE, "/fix 12"))).text == "Fix issue 12."

        file.rename(tmp_path / "secret")
        file.symlink_to(tmp_path / "secret")
        assert (await prompt_of(now(MORE, "/fix 12"))).text == f"/fix 12\n\n({session_words.CUSTOM_NOT_READ})"


async def test_what_is_not_written_down_is_not_given(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        await accept(house.ledger, command(HOST), now(MORE))
        assert await house.ledger.commands.start(HOST, NOW)
        await settle(house.ledger, RequestStop(HOST, ANNA), event="$stop")
        steering = Scene(house).executor._steering(command(HOST))
        run = await house.agent.open(make_spec())
        for _ in range(2):
            await steering.look(run)

        assert run.offered == 0
        assert await house.state(MORE) is CommandState.QUEUED


async def test_what_was_carried_and_not_given_yet_is_given_to_the_next_turn(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        steering = Scene(house).executor._steering(command(HOST), [Given(now(MORE), is_written=True)])
        run = await house.agent.open(make_spec())
        await steering.look(run)

        assert run.offered == 1


async def test_what_nobody_gave_is_not_read(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        steering = Scene(house).executor._steering(command(HOST), [Given(now(MORE))])
        steering.read(message_uuid(STILL_MORE))
        steering.read(message_uuid(MORE))

        assert [given.is_read for given in steering._given.values()] == [True]
        assert await steering.given() == []


# ── after a crash ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_crash_it_is_reported_and_not_run_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        await accept(house.ledger, command(HOST), now(MORE))
        assert await house.ledger.commands.start(HOST, NOW)
        assert await house.ledger.commands.give(MORE, HOST, NOW)

        assert await report_interrupted(house.shop.ledgers, house.clock, alive_at=NOW) == 2
        read = await house.read()
        assert steering_words.now_interrupted(0) in read
        assert read.count("⚠️") == 2
        assert await house.ledger.commands.queue(ROOM) == []


# ── what a message is a reply to ──────────────────────────────────────────────────────────────────────────────────


async def test_a_reply_to_an_old_answer_quotes_it_to_the_agent(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent()) as house:
        await house.ledger.outbox.put([parcel("old", "Tea is ready.")], NOW)
        await house.send_all()
        await house.execute(replace(command("$reply"), text="again", about=EventId("$sent-old")))

        [prompt] = house.agent.runs[0].prompts
        assert "> Tea is ready.\n[The reply:]\n\nagain" in prompt.text


async def test_a_reply_to_what_is_not_known_quotes_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent()) as house:
        await house.execute(replace(command("$reply"), text="again", about=EventId("$nothing")))

        assert [prompt.text for prompt in house.agent.runs[0].prompts] == ["again"]
