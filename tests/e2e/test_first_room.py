"""From an empty folder to the first answer, with the commands of docs/tutorial/first-room.md."""

import secrets
import subprocess
import sys
from pathlib import Path

from aiagentchat.config.edit import put
from aiagentchat.config.load import load
from rig.claude import cli_binary
from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged, clean_env, own
from tests.e2e.terminal import in_terminal


class Begun(Daemon):
    """A daemon whose settings and secrets are there already."""

    def write_config(self) -> None:
        self.workspaces.mkdir(exist_ok=True)
        own(self.folder)


def aiagentchat(folder: Path, *words: str) -> list[str]:
    return [*as_unprivileged(), sys.executable, "-m", "aiagentchat", *words, "--config", str(folder / "config.yaml")]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = clean_env(HOME=str(folder))
    return subprocess.run(
        aiagentchat(folder, *words), check=False, capture_output=True, text=True, env=env, cwd=folder, timeout=60
    )


async def test_from_an_empty_folder_to_the_first_answer(
    people: People, homeserver: Homeserver, model: Model, workplace: Path
) -> None:
    mark = secrets.token_hex(4)
    me, anna, room = f"@claude-{mark}:localhost", f"@anna-{mark}:localhost", f"first-{mark}"
    (workplace / "shared-secret").touch(mode=0o600)
    (workplace / "shared-secret").write_text(homeserver._secrets()["registration"])
    own(workplace)

    async with in_terminal(aiagentchat(workplace, "init"), clean_env(HOME=str(workplace))) as terminal:
        for question, answer in (
            ("Where is the homeserver?", homeserver.url),
            ("Which account answers there?", me),
            ("Who may ask it?", anna),
            ("Which rooms?", room),
            ("Password of", ""),
            ("Key or setup token", "sk-ant-api-offline"),
        ):
            await terminal.until(question)
            terminal.type(f"{answer}\r")
        await terminal.until("Next: aiagentchat bootstrap --dry-run")
        assert "sk-ant-api-offline" not in terminal.picture.text

    options = ("--shared-secret-file", str(workplace / "shared-secret"), "--account", anna)
    dry = run(workplace, "bootstrap", "--dry-run", *options)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert f"would do  room {room}, as #{room}:localhost" in dry.stdout
    assert "Nothing was changed: " in dry.stdout
    made = run(workplace, "bootstrap", *options)
    assert (made.returncode, made.stderr) == (0, "")
    assert "Next: aiagentchat doctor, then aiagentchat run" in made.stdout
    again = run(workplace, "bootstrap", *options)
    assert (again.returncode, "0 done" in again.stdout) == (0, True)

    config = workplace / "config.yaml"
    text = put(config.read_text("utf-8"), ("agents", "claude", "binary"), str(cli_binary()))
    config.write_text(put(text, ("isolation_minimum",), "none"))
    assert run(workplace, "check").returncode == 0
    (place,) = load(config, {}).rooms
    password = (workplace / "secrets" / "accounts" / anna[1:].partition(":")[0]).read_text().strip()
    assert password not in made.stdout

    account = Account(user_id=me, password="", access_token="", device_id="")
    daemon = Begun(workplace, homeserver.url, account, [], model_url=model.url)
    for name in ("MATRIX_ACCESS_TOKEN", "ANTHROPIC_API_KEY"):
        del daemon.environ[name]
    async with daemon:
        person = await people.play(homeserver.login(anna, password))
        await person.join(place.id)
        await person.send(place.id, script(f"first {mark}", Step(text="Good morning.")))
        await person.until_message(place.id, "Good morning.", sender=me)
