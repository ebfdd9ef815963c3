"""`cchat chat` in a real terminal, on a real homeserver, with somebody at the other end who follows a script."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from aiagentchat.render.asking_words import choice_answers
from aiagentchat.render.message import message
from rig.homeserver import Homeserver
from rig.people import People
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import CCHAT, KEYS, QUESTION, Scene, environment, run, set_scene
from tests.e2e.terminal import Picture, in_terminal


@pytest.fixture
async def scene(people: People, homeserver: Homeserver) -> Scene:
    return await set_scene(people, homeserver)


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


@pytest.mark.parametrize(
    ("keys", "reaction"),
    [
        ("y", "✅"),
        pytest.param("a", "♾️", marks=pytest.mark.long),
        ("n", "❌"),
        pytest.param("r\r", "❌", marks=pytest.mark.long),
    ],
)
async def test_a_key_answers_a_question(scene: Scene, keys: str, reaction: str) -> None:
    async with scene.chat() as terminal:
        asked = await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type(keys)
        await scene.claude.until_reaction(scene.room, asked, reaction)

        await terminal.until(lambda picture: KEYS not in picture.text)


@pytest.mark.long
async def test_a_number_chooses_and_several_are_typed(scene: Scene) -> None:
    one = message("1. red\n\n" + choice_answers(many=False, minutes=5, in_words=False), notice=False)
    many = message("1. red\n\n" + choice_answers(many=True, minutes=5, in_words=False), notice=False)
    async with scene.chat() as terminal:
        first = await scene.claude.send(scene.room, one)
        await terminal.until("1-9  choose")
        terminal.type("2")
        await scene.claude.until_reaction(scene.room, first, "2\ufe0f\u20e3")
        second = await scene.claude.send(scene.room, many)
        await terminal.until("type the numbers")
        terminal.type("1,3\r")
        said = await scene.claude.until_message(scene.room, "1,3", sender=scene.anna.id)

        assert said.reply_to == second


@pytest.mark.long
async def test_looking_back_loads_what_lies_before_and_changes_nothing_here(scene: Scene) -> None:
    first = await scene.claude.send(scene.room, "the very first")
    for number in range(110):
        await scene.claude.send(scene.room, f"message {number}")
    async with scene.chat() as terminal:
        assert "the very first" not in terminal.picture.text
        terminal.type("half a line\x1b[5~")
        await terminal.until("looking back")
        terminal.type("\x1b[H")
        await terminal.until("the very first")
        await scene.claude.edit(scene.room, first, "the first, edited")
        await terminal.until("the first, edited")
        terminal.type("\x1b")
        await terminal.until("› half a line")

        assert "the first, edited" not in terminal.picture.text
        assert terminal.picture.text.count("message 109") == 1


@pytest.mark.long
async def test_what_is_edited_changes_where_it_stands(scene: Scene) -> None:
    said = await scene.claude.send(scene.room, "before")
    await scene.claude.send(scene.room, "after it")
    async with scene.chat() as terminal:
        await scene.claude.edit(scene.room, said, "edited")
        await terminal.until("edited")

        assert "before" not in terminal.picture.text
        assert terminal.picture.text.index("edited") < terminal.picture.text.index("after it")


@pytest.mark.long
async def test_who_is_in_the_room_is_a_key_away(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("\x07")
        await terminal.until("2 in the room")
        await scene.claude.request("POST", f"/rooms/{scene.room}/leave", {})
        await terminal.until("1 in the room")
        terminal.type("\x07")

        await terminal.until(lambda picture: "in the room" not in picture.text)


async def test_two_terminals_with_logins_of_their_own_talk_in_one_room(scene: Scene, tmp_path: Path) -> None:
    env = {**clean_env(HOME=str(tmp_path)), "TERM": "xterm-256color"}
    for name, person in (("first", scene.anna), ("second", scene.claude)):
        token = tmp_path / f"{name}.token"
        token.touch(mode=0o600)
        token.write_text(person.account.access_token)
        login = ["login", "--as", name, "--homeserver", scene.env["CCHAT_HOMESERVER"], "--token-file", str(token)]
        assert (await run(login, env))[0] == 0
    argv = [*CCHAT, "chat", "--room", scene.room, "--as"]
    async with in_terminal([*argv, "first"], env) as first, in_terminal([*argv, "second"], env) as second:
        await first.until("Ctrl-D leaves")
        await second.until("Ctrl-D leaves")
        first.type("Are you there?\r")
        await second.until("Are you there?")
        second.type("I am, and I have read it.\r")
        await first.until("I am, and I have read it.")
        first.type("Good.\r")
        await second.until("Good.")
        for terminal in (first, second):
            terminal.type("\x04")

            assert await terminal.ended() == 0


@pytest.mark.long
async def test_a_denial_may_have_a_reason(scene: Scene) -> None:
    async with scene.chat() as terminal:
        await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type("r")
        await terminal.until("why not ›")
        terminal.type("not today\r")

        await scene.claude.until_message(scene.room, "/deny not today", sender=scene.anna.id)


@pytest.mark.long
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
@pytest.mark.long
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


@pytest.mark.long
async def test_the_terminal_is_as_before_when_the_login_ends_in_the_middle(scene: Scene) -> None:
    async with scene.chat() as terminal:
        await scene.anna.request("POST", "/logout", {})

        assert await terminal.ended() == 3
        await terminal.until("does not accept this login")
        assert terminal.modes[3] & 0o12 == 0o12


@pytest.mark.long
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


@pytest.mark.long
async def test_what_was_said_before_is_shown_in_its_last_state(scene: Scene) -> None:
    first = await scene.claude.send(scene.room, "first draft")
    for number in range(120):
        await scene.claude.edit(scene.room, first, f"state {number}")
    await scene.claude.send(scene.room, "afterwards")
    async with scene.chat() as terminal:
        assert "state 119" in terminal.picture.text
        assert "first draft" not in terminal.picture.text
        assert "afterwards" in terminal.picture.text


@pytest.mark.long
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


@pytest.mark.long
async def test_a_paste_and_a_backslash_make_one_message_of_several_lines(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("\x1b[200~one\rtwo\x1b[201~\\\rthree\r")

        said = await scene.claude.until_message(scene.room, "one", sender=scene.anna.id)
        assert said.body == "one\ntwo\nthree"


@pytest.mark.long
async def test_who_sends_and_leaves_at_once_has_still_said_it(scene: Scene) -> None:
    async with scene.chat() as terminal:
        terminal.type("bye\r\x04")

        assert await terminal.ended() == 0
        await scene.claude.until_message(scene.room, "bye", sender=scene.anna.id)


@pytest.mark.long
async def test_who_leaves_in_an_outage_is_told_what_was_not_sent(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "homeserver") as server:
        anna = server.register("anna")
        body = {"preset": "private_chat", "name": "den"}
        server.request("POST", "/_matrix/client/v3/createRoom", body, token=anna.access_token)
        env = {**environment(server.url, anna.access_token), "TERM": "xterm"}
        async with in_terminal([*CCHAT, "chat"], env) as terminal:
            await terminal.until("den · Enter sends")
            await asyncio.to_thread(server.stop)
            terminal.type("bye\r\x04")

            assert await terminal.ended() == 4
            await terminal.until("your last words were not sent")


@pytest.mark.long
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


@pytest.mark.long
async def test_a_room_that_becomes_encrypted_ends_the_chat(scene: Scene) -> None:
    async with scene.chat() as terminal:
        encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
        await scene.anna.request("PUT", f"/rooms/{scene.room}/state/m.room.encryption/", encryption)

        assert await terminal.ended() == 5


@pytest.mark.long
async def test_a_small_terminal_is_enough(scene: Scene) -> None:
    async with scene.chat(rows=8) as terminal:
        asked = await scene.claude.send(scene.room, QUESTION)
        await terminal.until(KEYS)
        terminal.type("y")
        await scene.claude.until_reaction(scene.room, asked, "✅")

        def gone(picture: Picture) -> bool:
            return KEYS not in picture.text

        await terminal.until(gone)
