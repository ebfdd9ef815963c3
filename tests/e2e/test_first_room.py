"""From an empty folder to the first answer, with the blocks of docs/tutorial/first-room.md as they stand there."""

import os
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from aiagentchat.config.edit import put
from aiagentchat.config.load import load
from rig.claude import cli_binary
from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env, own
from tests.docs.command_blocks import Block, Shell, of_scene
from tests.e2e.terminal import in_terminal


class Begun(Daemon):
    """A daemon whose settings and secrets are there already."""

    def write_config(self) -> None:
        self.workspaces.mkdir(exist_ok=True)
        own(self.folder)


def at_home(folder: Path) -> dict[str, str]:
    """The environment of somebody who has installed it, and whose home is the folder."""
    program = folder / "bin" / "aiagentchat"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m aiagentchat "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    env = clean_env(HOME=str(folder))
    return {**env, "PATH": f"{program.parent}{os.pathsep}{env['PATH']}"}


async def answered(shell: Shell, block: Block, answers: Mapping[str, str], end: str) -> str:
    """Type it in a terminal, answer what it asks, and read until its end; what the terminal shows."""
    async with in_terminal(shell.argv(block), shell.environ) as terminal:
        for question, answer in answers.items():
            await terminal.until(question)
            terminal.type(f"{answer}\r")
        await terminal.until(end)
        await terminal.ended()
        return str(terminal.picture.text)


async def test_from_an_empty_folder_to_the_first_answer(
    people: People, homeserver: Homeserver, model: Model, workplace: Path
) -> None:
    mark = secrets.token_hex(4)
    anna = people.account()
    me, room, key = f"@claude-{mark}:localhost", f"first-{mark}", "sk-ant-api-offline"
    for name, secret in (("shared-secret", homeserver._secrets()["registration"]), ("anthropic-key", key)):
        (workplace / name).touch(mode=0o600)
        (workplace / name).write_text(secret)
    instead = {
        "https://matrix.example.org": homeserver.url,
        "@claude:example.org": me,
        "@you:example.org": anna.user_id,
        "--room first": f"--room {room}",
    }
    shell = Shell(workplace, at_home(workplace), instead)
    asks, asks_nothing, looks, makes = of_scene("first room")
    own(workplace)

    answers = {
        "Where is the homeserver?": homeserver.url,
        "Which account answers there?": me,
        "Who may ask it?": anna.user_id,
        "Which rooms?": room,
        "Password of": "",
        "Key or setup token": key,
    }
    assert key not in await answered(shell, asks, answers, "Next: aiagentchat bootstrap --dry-run")
    home = workplace / "aiagentchat"
    asked = home.rename(workplace / "asked")
    home.mkdir()
    own(home)
    shell.run(asks_nothing)
    assert (home / "config.yaml").read_text() == (asked / "config.yaml").read_text()

    dry = shell.run(looks)
    assert f"would do  room {room}, as #{room}:localhost" in dry.stdout
    assert "Nothing was changed: " in dry.stdout
    made = shell.run(makes)
    assert "Next: aiagentchat doctor, then aiagentchat run" in made.stdout
    assert "0 done" in shell.run(makes).stdout

    config = home / "config.yaml"
    text = put(config.read_text("utf-8"), ("agents", "claude", "binary"), str(cli_binary()))
    config.write_text(put(text, ("isolation_minimum",), "none"))
    (place,) = load(config, {}).rooms
    password = (home / "secrets" / "MATRIX_PASSWORD").read_text().strip()
    assert password not in made.stdout

    account = Account(user_id=me, password="", access_token="", device_id="")
    daemon = Begun(home, homeserver.url, account, [], model_url=model.url)
    for name in ("MATRIX_ACCESS_TOKEN", "ANTHROPIC_API_KEY"):
        del daemon.environ[name]
    async with daemon:
        person = await people.play(anna)
        await person.join(place.id)
        await person.send(place.id, script(f"first {mark}", Step(text="Good morning.")))
        await person.until_message(place.id, "Good morning.", sender=me)
