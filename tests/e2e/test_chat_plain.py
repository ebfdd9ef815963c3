"""`cchat chat` without a terminal, and everything that it refuses."""

import asyncio
import os
import re
import signal
import subprocess
import sys

import pytest

from aiagentchat.cli.exchange.exits import Exit
from rig.homeserver import Homeserver
from rig.people import People
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import CCHAT, QUESTION, Scene, run, set_scene
from tests.e2e.terminal import PATIENCE


@pytest.fixture
async def scene(people: People, homeserver: Homeserver) -> Scene:
    return await set_scene(people, homeserver)


async def test_lines_that_are_piped_in_are_answered_one_after_the_other(scene: Scene) -> None:
    async def claude() -> None:
        first = await scene.heard("one")
        answer = await scene.claude.send(scene.room, "fir")
        await scene.claude.edit(scene.room, answer, "first \x1b[31m**answer**")
        await scene.claude.react(scene.room, first, "✅")
        second = await scene.heard("two")
        await scene.claude.send(scene.room, "second")
        await scene.claude.react(scene.room, second, "❌")
        asked = await scene.claude.until_message(scene.room, "/help", sender=scene.anna.id)
        await scene.claude.send(scene.room, "That I know: nothing", reply_to=asked.id)

    async with asyncio.TaskGroup() as group:
        group.create_task(claude())
        ended = await scene.piped("one\n\ntwo\n/help")

    assert ended == (0, "first **answer**\n\nsecond\n\nThat I know: nothing\n\n", "")


@pytest.mark.long
async def test_a_piped_line_answers_a_question(scene: Scene) -> None:
    async def claude() -> None:
        command = await scene.heard("do it")
        await scene.claude.send(scene.room, QUESTION)
        await scene.claude.until_message(scene.room, "/approve", sender=scene.anna.id)
        await scene.claude.send(scene.room, QUESTION)
        await scene.claude.react(scene.room, command, "✅")

    async with asyncio.TaskGroup() as group:
        group.create_task(claude())
        code, out, _ = await scene.piped("do it\n/approve\n")

    assert (code, out.count("May the agent use")) == (0, 2)


@pytest.mark.long
async def test_a_room_is_found_by_its_alias_and_by_its_name(scene: Scene) -> None:
    alias = f"den-{scene.room[1:6].lower()}"
    await scene.anna.create_room(name="den", alias=alias)

    assert await run(["chat", "--room", f"#{alias}:localhost"], scene.env) == (0, "", "")
    assert await run(["chat", "--room", "den"], scene.env) == (0, "", "")


@pytest.mark.long
async def test_a_room_that_has_only_an_alias_is_called_so(scene: Scene) -> None:
    alias = f"den-{scene.room[1:6].lower()}"
    await scene.anna.create_room(alias=alias)
    _, _, several = await run(["chat"], scene.env)

    assert f"  #{alias}:localhost\n" in several
    assert await run(["chat", "--room", alias.upper()], scene.env) == (0, "", "")


@pytest.mark.long
async def test_the_right_room_must_be_clear(scene: Scene) -> None:
    await scene.anna.create_room(name="den")
    code, _, several = await run(["chat"], scene.env)
    code_, _, none = await run(["chat", "--room", "dem"], scene.env)

    assert (code, code_) == (Exit.USAGE, Exit.UNKNOWN)
    assert "you are in several rooms; choose one with --room:" in several
    assert "no rooms are named dem; choose one" in none
    assert scene.room in several
    assert "  den\n" in none


@pytest.mark.long
async def test_a_room_is_meant_by_its_whole_name_and_of_several_one_is_to_be_chosen(scene: Scene) -> None:
    named = f"den: {'long ' * 20}"
    await scene.anna.create_room(name=named)
    whole = await run(["chat", "--room", named.strip().upper()], scene.env)
    half = await run(["chat", "--room", "den"], scene.env)
    for _ in range(2):
        await scene.anna.create_room(name="den")
    several = await run(["chat", "--room", "den"], scene.env)

    assert whole == (0, "", "")
    assert half[0] == Exit.UNKNOWN
    assert several[0] == Exit.USAGE
    assert "2 rooms are named den; choose one with --room:" in several[2]


@pytest.mark.long
async def test_a_room_that_one_may_not_enter_is_told_from_one_that_is_not_there(scene: Scene) -> None:
    closed = await scene.claude.create_room(name="closed")
    code, _, err = await run(["chat", "--room", closed], scene.env)

    assert code == Exit.NOT_ALLOWED
    assert "cannot be entered" in err
    assert "are you invited?" in err


@pytest.mark.long
async def test_an_encrypted_room_is_refused_in_one_sentence(scene: Scene) -> None:
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    await scene.anna.request("PUT", f"/rooms/{scene.room}/state/m.room.encryption/", encryption)
    code, out, err = await scene.piped("hello\n")

    assert (code, out, err.count("\n")) == (5, "", 1)
    assert "cannot read encrypted rooms" in err


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "sentence"),
    [
        (["chat", "--nonsense"], {}, 2, "No such option"),
        (["chat", "--homeserver", ""], {"CCHAT_HOMESERVER": ""}, 2, "there is no homeserver"),
        (["chat"], {"CCHAT_ACCESS_TOKEN": "wrong"}, 3, "does not accept this login"),
        (["chat", "--homeserver", "http://127.0.0.1:1"], {}, 4, "does not answer"),
        (["chat", "--user", "@eve:localhost"], {}, 2, "not to @eve:localhost"),
        (["chat", "--room", "!none:localhost"], {}, 7, "cannot be entered"),
    ],
)
@pytest.mark.long
async def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    scene: Scene, arguments: list[str], environ: dict[str, str], code: int, sentence: str
) -> None:
    ended, out, err = await run(arguments, {**scene.env, **environ}, "hello\n")

    assert (ended, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.long
async def test_ctrl_c_is_no_fault(scene: Scene) -> None:
    pipe = asyncio.subprocess.PIPE
    # A shell that starts something in the background lets it ignore Ctrl-C, and whatever it starts, too.
    argv = ["env", "--default-signal=INT", *CCHAT, "chat", "--room", scene.room]
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stderr=pipe, env=dict(scene.env))
    assert process.stdin
    process.stdin.write(b"hello\n")
    await scene.claude.until_message(scene.room, "hello", sender=scene.anna.id)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        _, err = await process.communicate()

    assert (process.returncode, err) == (130, b"")


@pytest.mark.long
async def test_a_reader_who_leaves_is_no_fault(scene: Scene) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    pipe = asyncio.subprocess.PIPE
    argv = [*CCHAT, "chat", "--room", scene.room]
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=writer, stderr=pipe, env=dict(scene.env))
    os.close(writer)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(process.communicate(b"/help\n"))
        asked = await scene.claude.until_message(scene.room, "/help", sender=scene.anna.id)
        await scene.claude.send(scene.room, "That I know: nothing", reply_to=asked.id)

    assert (process.returncode, ended.result()[1]) == (1, b"")


def test_help_is_there_at_once_without_what_only_the_chat_needs() -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "aiagentchat.cli.cchat", "--help"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=clean_env())

    assert "cchat chat --room" in done.stdout
    assert not re.search(r"\| +(aiohttp|asyncio|rich|nio|pydantic)$", done.stderr, re.MULTILINE)
