"""`cchat chat` in a real terminal, on a real homeserver, with somebody at the other end who follows a script."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiagentchat.render.approval import approval_text
from aiagentchat.render.message import message
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import People
from rig.unprivileged import clean_env
from tests.e2e.terminal import PATIENCE, Picture, Terminal, in_terminal

CCHAT = [sys.executable, "-m", "aiagentchat.cli.cchat"]
QUESTION = message(approval_text("Bash", {"command": "date"}, minutes=60), notice=False)
KEYS = "y  allow once"
"""What the box says as soon as keys answer."""


@dataclass(slots=True)
class Scene:
    """Anna, whose terminal it is, and Claude, who is played by the test."""

    anna: MatrixUser
    claude: MatrixUser
    room: str
    env: Mapping[str, str]

    @asynccontextmanager
    async def chat(self, *options: str, rows: int = 24) -> AsyncGenerator[Terminal, None]:
        """Anna's terminal, as soon as she can type."""
        argv = [*CCHAT, "chat", "--room", self.room, *options]
        async with in_terminal(argv, {**self.env, "TERM": "xterm-256color"}, rows=rows) as terminal:
            await terminal.until("Ctrl-D leaves")
            yield terminal

    async def heard(self, text: str) -> str:
        """Wait for what Anna says, and accept it as a command; its id."""
        said = await self.claude.until_message(self.room, text, sender=self.anna.id)
        await self.claude.react(self.room, said.id, "👀")
        return said.id

    async def piped(self, lines: str, *options: str) -> tuple[int, str, str]:
        """The same without a terminal: exit code, stdout, stderr."""
        return await run(["chat", "--room", self.room, *options], self.env, lines)


async def run(arguments: list[str], env: Mapping[str, str], lines: str = "") -> tuple[int, str, str]:
    """Run cchat without a terminal."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *CCHAT, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env)
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(lines.encode())
    return process.returncode or 0, out.decode(), err.decode()


def environment(homeserver: str, token: str) -> dict[str, str]:
    """What a person has in the environment, and what measures the coverage."""
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    return clean_env(CCHAT_HOMESERVER=homeserver, CCHAT_ACCESS_TOKEN=token, **coverage)


@pytest.fixture
async def scene(people: People, homeserver: Homeserver) -> Scene:
    anna, claude = await people.person(), await people.person("claude")
    room = await people.room(anna, claude)
    return Scene(anna, claude, room, environment(homeserver.url, anna.account.access_token))


async def test_an_answer_appears_while_it_is_written_and_is_there_once(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("say hello\r")
        command = await scene.heard("say hello")
        await terminal.until("› say hello  👀")
        await scene.claude.request(
            "PUT", f"/rooms/{scene.room}/typing/{scene.claude.id}", {"typing": True, "timeout": 9000}
        )
        await terminal.until("is writing …")
        answer = await scene.claude.send(scene.room, "Hel")
        await terminal.until("  Hel\n")
        await scene.claude.edit(scene.room, answer, "Hello **Anna**.\n\n▸ Bash: `date`")
        await terminal.until("  Hello Anna.\n\n  ▸ Bash: date")
        await scene.claude.react(scene.room, command, "✅")
        await terminal.until("› say hello  ✅")

        assert terminal.picture.text.count("Hel") == 1
        assert terminal.picture.text.count("say hello") == 1


@pytest.mark.parametrize(("keys", "reaction"), [("y", "✅"), ("n", "❌"), ("r\r", "❌")])
async def test_a_key_answers_a_question(scene: Scene, keys: str, reaction: str) -> None:
    async with scene.chat() as terminal:
        asked = await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type(keys)
        await scene.claude.until_reaction(scene.room, asked, reaction)

        await terminal.until(lambda picture: KEYS not in picture.text)


async def test_a_denial_may_have_a_reason(scene: Scene) -> None:
    async with scene.chat() as terminal:
        await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type("r")
        await terminal.until("why not ›")
        terminal.type("not today\r")

        await scene.claude.until_message(scene.room, "/deny not today", sender=scene.anna.id)


async def test_a_line_that_was_begun_is_never_an_answer(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("yes")
        await terminal.until("› yes")
        asked = await scene.claude.send(scene.room, QUESTION)
        await terminal.until("Ctrl-U")
        terminal.type("y\r")
        await scene.claude.until_message(scene.room, "yesy", sender=scene.anna.id)

        assert scene.claude.reactions(scene.room, asked) == {}


async def test_nothing_in_a_room_is_obeyed_by_the_terminal(scene: Scene) -> None:
    async with scene.chat() as terminal:
        await scene.claude.send(scene.room, "\x1b]0;owned\x07\x1b[2J\x9b31m&#x1b;[5mred\r\x1b[8;1;1t")
        await terminal.until("red")

        assert "owned" not in terminal.written
        assert not re.search(r"\x1b\[(?:5m|8;1;1t)|\x9b|\x07|\x1b\]", terminal.written)


@pytest.mark.parametrize(
    ("leave", "code"),
    [("\x03", 0), ("\x04", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "ctrl-d", "sigterm", "sighup"],
)
async def test_the_terminal_is_as_before(scene: Scene, leave: str | signal.Signals, code: int) -> None:
    await scene.claude.send(scene.room, "still here")
    async with scene.chat() as terminal:
        chatting = terminal.modes
        if isinstance(leave, str):
            terminal.type(leave)
        else:
            terminal.process.send_signal(leave)

        assert await terminal.ended() == code
        await terminal.until(lambda _: terminal.written.endswith("\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[0m"))
        assert terminal.modes != chatting
        assert terminal.modes[3] & 0o12 == 0o12  # ECHO and ICANON
        assert "still here" in terminal.picture.text
        assert "Ctrl-D leaves" not in terminal.picture.text


async def test_the_terminal_is_as_before_when_the_login_ends_in_the_middle(scene: Scene) -> None:
    async with scene.chat() as terminal:
        await scene.anna.request("POST", "/logout", {})

        assert await terminal.ended() == 3
        await terminal.until("does not accept this login")
        assert terminal.modes[3] & 0o12 == 0o12


async def test_a_new_size_is_a_new_picture(scene: Scene) -> None:
    await scene.claude.send(scene.room, "word " * 30)
    async with scene.chat() as terminal:
        terminal.type("draft")
        await terminal.until("› draft")
        terminal.resize(40, 12)
        await terminal.until("› draft")

        assert max(map(len, terminal.picture.screen)) < 40
        assert len(terminal.picture.screen) <= 12
        assert "word word" in terminal.picture.text


async def test_what_was_said_before_is_shown_in_its_last_state(scene: Scene) -> None:
    first = await scene.claude.send(scene.room, "first draft")
    for number in range(120):
        await scene.claude.edit(scene.room, first, f"state {number}")
    await scene.claude.send(scene.room, "afterwards")
    async with scene.chat() as terminal:
        assert "state 119" in terminal.picture.text
        assert "first draft" not in terminal.picture.text
        assert "afterwards" in terminal.picture.text


async def test_what_does_not_fit_is_whole_above_at_the_end(scene: Scene) -> None:
    async with scene.chat(rows=12) as terminal:
        terminal.type("count\r")
        command = await scene.heard("count")
        answer = await scene.claude.send(scene.room, "begin")
        await terminal.until("begin")
        await scene.claude.edit(scene.room, answer, "\n".join(f"- item {number}" for number in range(40)))
        await terminal.until("lines more")
        assert len(terminal.picture.screen) <= 12
        await scene.claude.react(scene.room, command, "✅")
        items = [f"item {number}" for number in range(40)]

        await terminal.until(lambda picture: re.findall(r"item \d+", picture.text) == items)


async def test_a_paste_and_a_backslash_make_one_message_of_several_lines(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("\x1b[200~one\rtwo\x1b[201~\\\rthree\r")

        said = await scene.claude.until_message(scene.room, "one", sender=scene.anna.id)
        assert said.body == "one\ntwo\nthree"


async def test_an_outage_is_said_and_nothing_typed_meanwhile_is_lost(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "homeserver") as server:
        anna = server.register("anna")
        body = {"preset": "private_chat", "name": "den"}
        server.request("POST", "/_matrix/client/v3/createRoom", body, token=anna.access_token)
        env = {**environment(server.url, anna.access_token), "TERM": "xterm"}
        async with in_terminal([*CCHAT, "chat", "--user", anna.user_id], env) as terminal:
            await terminal.until("den · Enter sends")
            await asyncio.to_thread(server.stop)
            terminal.type("are you there\r")
            await terminal.until("Not sent yet, trying again")
            await asyncio.to_thread(server.start)
            await terminal.until("› are you there\n")
            await terminal.until("den · Enter sends")

            assert terminal.picture.text.count("are you there") == 1


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


async def test_a_room_is_found_by_its_alias_and_by_its_name(scene: Scene) -> None:
    alias = f"den-{scene.room[1:6].lower()}"
    await scene.anna.create_room(name="den", alias=alias)

    assert await run(["chat", "--room", f"#{alias}:localhost"], scene.env) == (0, "", "")
    assert await run(["chat", "--room", "den"], scene.env) == (0, "", "")


async def test_the_right_room_must_be_clear(scene: Scene) -> None:
    await scene.anna.create_room(name="den")
    code, _, several = await run(["chat"], scene.env)
    code_, _, none = await run(["chat", "--room", "dem"], scene.env)

    assert (code, code_) == (2, 2)
    assert "you are in several rooms; choose one with --room:" in several
    assert "no rooms are named dem; choose one" in none
    assert scene.room in several
    assert "  den\n" in none


async def test_an_encrypted_room_is_refused_in_one_sentence(scene: Scene) -> None:
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    await scene.anna.request("PUT", f"/rooms/{scene.room}/state/m.room.encryption/", encryption)
    code, out, err = await scene.piped("hello\n")

    assert (code, out, err.count("\n")) == (5, "", 1)
    assert "cannot read encrypted rooms" in err


async def test_a_room_that_becomes_encrypted_ends_the_chat(scene: Scene) -> None:
    async with scene.chat() as terminal:
        encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
        await scene.anna.request("PUT", f"/rooms/{scene.room}/state/m.room.encryption/", encryption)

        assert await terminal.ended() == 5


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "sentence"),
    [
        (["chat", "--nonsense"], {}, 2, "No such option"),
        (["chat", "--homeserver", ""], {"CCHAT_HOMESERVER": ""}, 2, "there is no homeserver"),
        (["chat"], {"CCHAT_ACCESS_TOKEN": "wrong"}, 3, "does not accept this login"),
        (["chat", "--homeserver", "http://127.0.0.1:1"], {}, 4, "does not answer"),
        (["chat", "--user", "@eve:localhost"], {}, 2, "not to @eve:localhost"),
        (["chat", "--room", "!none:localhost"], {}, 2, "cannot be entered"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    scene: Scene, arguments: list[str], environ: dict[str, str], code: int, sentence: str
) -> None:
    ended, out, err = await run(arguments, {**scene.env, **environ}, "hello\n")

    assert (ended, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err


def test_help_is_there_at_once_without_what_only_the_chat_needs() -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "aiagentchat.cli.cchat", "--help"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=clean_env())

    assert "cchat chat --room" in done.stdout
    assert not re.search(r"\| +(aiohttp|asyncio|rich|nio|pydantic)$", done.stderr, re.MULTILINE)


async def test_a_small_terminal_is_enough(scene: Scene) -> None:
    async with scene.chat(rows=8) as terminal:
        asked = await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type("y")
        await scene.claude.until_reaction(scene.room, asked, "✅")

        def gone(picture: Picture) -> bool:
            return KEYS not in picture.text

        await terminal.until(gone)
