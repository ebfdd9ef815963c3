"""What people and the daemon say to each other in an encrypted room, both ways."""

import asyncio
import re
from pathlib import Path

import pytest

from rig.faults.proxy import FaultProxy, Kind
from rig.js_people import JsPeople
from rig.model import Model
from rig.people import People
from rig.script import Step, numbered, script
from tests.clients.secret_house import (
    all_can_be_read,
    nothing_is_in_clear,
    secret_house,
    until_told,
)
from tests.e2e.house import pipe_within_reach

HOLD = "tail -f /dev/null"
TOUCH = script("make a file", Step(tool="Bash", input={"command": "touch made"}), Step(text="That was it."))

VERSIONS = pytest.mark.parametrize("version", ["11", "12"])


@VERSIONS
async def test_a_message_is_answered_and_the_homeserver_reads_nothing(
    people: People, elements: JsPeople, model: Model, workplace: Path, version: str
) -> None:
    async with secret_house(people, elements, model, workplace, version=version) as (house, anna):
        asked = await house.ask(script("say it", Step(text="A secret answer.")))

        assert await house.ended(asked) == "✅"
        answer = await until_told(house, anna, "A secret answer.")
        shown = await anna.shown(house.room, answer.id)
        assert answer.reply_to == asked
        assert (shown.answers, shown.thread) == (asked, "")
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


async def test_an_answer_grows_by_edits_and_element_shows_its_end(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        words = " ".join(f"w{number}" for number in range(300))
        asked = await house.ask(script("speak slowly", Step(text=words, chunk=300, delay=0.6)))

        assert await house.ended(asked) == "✅"
        answer = await until_told(house, anna, "w299")
        shown = await anna.shown(house.room, answer.id)
        assert answer.edits > 0
        assert words in answer.body
        assert words in shown.content["body"]
        assert shown.edited
        await nothing_is_in_clear(house, anna)


async def test_a_long_answer_arrives_whole(people: People, elements: JsPeople, model: Model, workplace: Path) -> None:
    async with secret_house(people, elements, model, workplace, room={"file_after": 0}) as (house, anna):
        asked = await house.ask(script("speak long", Step(big=120_000)))

        answer = await house.answer(asked)
        numbers = [int(number) for number in re.findall(r"^line (\d+)", answer, re.MULTILINE)]
        assert numbers == list(range(1, numbered(120_000).count("line ") + 1))
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


async def test_what_is_too_long_for_the_room_and_what_is_taken_along_are_encrypted_files(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        asked = await house.ask(script("speak very long", Step(big=60_000)))
        assert await house.ended(asked) == "✅"
        whole = await anna.until_message(house.room, lambda message: message.first["msgtype"] == "m.file")
        await house.ask("/export")
        talk = await until_told(house, anna, "as the agent has written it down")

        assert numbered(60_000).encode() in await anna.fetch_file(house.room, whole.id)
        assert b"speak very long" in await anna.fetch_file(house.room, talk.id)
        assert all("url" not in each.first for each in (whole, talk))
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


async def test_what_waits_can_be_edited_and_taken_back(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    pipe = pipe_within_reach(workplace)
    async with secret_house(people, elements, model, workplace, room={"allow": ["Bash"]}) as (house, anna):
        await house.ask(script("keep busy", Step(tool="Bash", input={"command": f"echo go > {pipe}; {HOLD}"})))
        assert await asyncio.to_thread(pipe.read_text) == "go\n"
        edited = await house.ask(script("make secret tea", Step(text="Tea.")))
        dropped = await house.ask(script("make secret soup", Step(text="Soup.")))
        await anna.edit(house.room, edited, script("make secret coffee", Step(text="Coffee.")))
        await anna.redact(house.room, dropped)
        await house.daemon.until_line("command.taken_back", command=dropped)
        await house.ask("/stop")

        assert await house.ended(edited) == "✅"
        asked = [bool(model.requests(f"make secret {drink}")) for drink in ("coffee", "tea", "soup")]
        assert asked == [True, False, False]
        await nothing_is_in_clear(house, anna)


async def test_a_message_in_a_thread_is_answered(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    room = {"session_scope": "thread"}
    async with secret_house(people, elements, model, workplace, room=room) as (house, anna):
        first = await house.ask(script("begin", Step(text="Begun.")))
        assert await house.ended(first) == "✅"
        aside = await anna.send(house.room, script("an aside", Step(text="Aside, too.")), thread=first)

        assert await house.ended(aside) == "✅"
        answer = await until_told(house, anna, "Aside, too.")
        await anna.until_in_thread(house.room, first, answer.id)
        shown = await anna.shown(house.room, answer.id)
        relation = answer.first["m.relates_to"]
        [prompt] = house.prompts("an aside")
        assert "> Begun." not in prompt  # it hangs on the question, which is quoted
        assert "begin" in prompt
        assert shown.thread == first
        assert (relation["rel_type"], relation["event_id"], answer.reply_to) == ("m.thread", first, aside)
        all_can_be_read(house, anna)


async def test_a_file_is_opened_and_goes_along_with_what_is_said_next(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        sent = await anna.send_file(house.room, "notes.txt", b"not to be read by others")
        assert (await until_told(house, anna, "Got `notes.txt`")).reply_to == sent
        assert await house.ended(await house.ask(script("read it", Step(text="It is read.")))) == "✅"

        assert (house.workspace() / "inbox/notes.txt").read_bytes() == b"not to be read by others"
        await nothing_is_in_clear(house, anna)


async def test_what_the_homeserver_does_not_take_as_text_comes_as_an_encrypted_file(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with (
        FaultProxy(people.homeserver.port) as proxy,
        secret_house(people, elements, model, workplace, start=False) as (house, anna),
    ):
        house.daemon.settings["matrix"]["homeserver"] = proxy.url
        async with house.daemon:
            await house.settle_in()
            proxy.arm(Kind.TOO_LARGE, lambda request: "/send/m.room.encrypted/" in request.path, times=2)
            asked = await house.ask(script("say it", Step(text="A secret answer.")))

            assert await house.ended(asked) == "✅"
            sent = await anna.until_message(house.room, lambda message: message.first["msgtype"] == "m.file")
            assert b"A secret" in await anna.fetch_file(house.room, sent.id)  # of an answer that grew, its beginning
            assert "url" not in sent.first
            all_can_be_read(house, anna)
            await nothing_is_in_clear(house, anna)


@pytest.mark.parametrize(("answer", "made"), [("/approve", True), ("/deny", False)])
async def test_a_tool_waits_for_a_word(
    people: People, elements: JsPeople, model: Model, workplace: Path, answer: str, made: bool
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        asked = await house.ask(TOUCH)
        await until_told(house, anna, "May the agent use")
        await house.ask(answer)

        assert await house.ended(asked) == "✅"
        assert (house.workspace() / "made").exists() is made
        await nothing_is_in_clear(house, anna)


async def test_a_reaction_which_the_homeserver_could_have_made_up_approves_nothing(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        asked = await house.ask(TOUCH)
        question = await until_told(house, anna, "May the agent use")
        await anna.react(house.room, question.id, "✅")
        await house.ask("/deny")

        assert await house.ended(asked) == "✅"
        assert not (house.workspace() / "made").exists()


async def test_a_stop_ends_a_turn(people: People, elements: JsPeople, model: Model, workplace: Path) -> None:
    pipe = pipe_within_reach(workplace)
    async with secret_house(people, elements, model, workplace, room={"allow": ["Bash"]}) as (house, anna):
        asked = await house.ask(script("keep busy", Step(tool="Bash", input={"command": f"echo go > {pipe}; {HOLD}"})))
        assert await asyncio.to_thread(pipe.read_text) == "go\n"
        await house.ask("/stop")

        assert await house.ended(asked) == "🛑"
        await until_told(house, anna, "Stopped by")
        await nothing_is_in_clear(house, anna)


async def test_a_room_that_becomes_encrypted_is_followed_at_once(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace, encrypted=False) as (house, anna):
        before = await house.ask(script("say it", Step(text="In the open.")))
        assert await house.ended(before) == "✅"
        last_open = (await until_told(house, anna, "In the open.")).id
        await anna.encrypt_room(house.room)
        after = await house.ask(script("say it again", Step(text="Behind closed doors.")))

        assert await house.ended(after) == "✅"
        await until_told(house, anna, "Behind closed doors.")
        said = [event for event in await anna.history(house.room) if event["sender"] == house.account.user_id]
        in_clear = [event["event_id"] for event in said if "body" in event["content"]]
        assert anna.sight(after).encrypted
        assert in_clear[0] == last_open
        assert not [each for each in in_clear if "Behind" in str(anna.message(house.room, each))]
        assert "Behind closed doors." not in str(said)
