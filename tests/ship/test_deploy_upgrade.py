"""The real daemon on the host: it is upgraded while a turn runs, taken back when it does not come up, and put back.

Real are ssh, rsync, pip with the hashes of the requirements, the homeserver and the Claude Code program. systemd is not
(`rig/host/systemctl.py`), and the model is the stub.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from aiagentchat.cli.bootstrap import TO_LOOK_AT
from rig.daemon import Daemon
from rig.host import USER, Host, free_port, missing
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env
from tests.e2e.house import House

pytestmark = [
    pytest.mark.ship,
    pytest.mark.usefixtures("cli"),
    pytest.mark.timeout(1800),  # it installs the whole program four times
    pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the user on a host is"),
]
WITHIN = 600.0
"""Seconds for one deployment: it installs sixty packages, perhaps while others use the machine, too."""
KEY = "sk-ant-offline-and-not-to-be-printed"
BROKEN = '            raise RuntimeError("This release is broken.")\n'
"""Where the database is open, so of the newer version already, and the homeserver was not asked yet."""


class Gate:
    """A tool that says when it runs, and ends when the test says so."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._started, self._opened = folder / "started", folder / "opened"
        for pipe in (self._started, self._opened):
            os.mkfifo(pipe)
            pipe.chmod(0o666)
        folder.chmod(0o755)
        # The program ends it after two minutes otherwise, and a machine that is busy installs for longer.
        self.tool = {"command": f"echo started > {self._started}; cat {self._opened}", "timeout": 600_000}

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self._started.read_text) == "started\n"

    async def open(self) -> None:
        await asyncio.to_thread(self._opened.write_text, "go on\n")


@asynccontextmanager
async def _house(people: People, model: Model, host: Host, shared: Path) -> AsyncIterator[House]:
    """Anna and her room, and on the host what config.yaml and the secrets must say. Nothing runs yet."""
    anna, account = await people.person(), people.account()
    room = await people.room(anna, account)
    state = host.root / "var/lib/aiagentchat"
    daemon = Daemon(
        host.folder,
        people.homeserver.url,
        account,
        [{"id": room, "name": "backend", "allow": ["Bash"], "mounts": [{"path": str(shared), "mode": "rw"}]}],
        model_url=model.url,
        users=[anna.id],
        data_dir=str(state / "data"),
        workspaces=str(state / "rooms"),
    )
    host.config.write_text(yaml.safe_dump(daemon.settings), encoding="utf-8")
    etc = host.config.parent
    (etc / "secrets/MATRIX_ACCESS_TOKEN").write_text(account.access_token, encoding="utf-8")
    (etc / "secrets/ANTHROPIC_API_KEY").write_text(KEY, encoding="utf-8")
    for secret in (etc / "secrets").iterdir():
        secret.chmod(0o600)
    (etc / "environment").write_text(f"ANTHROPIC_BASE_URL={model.url}\n", encoding="utf-8")
    yield House(anna, account, [room], daemon, model)


async def until(what: Callable[[], bool], *, within: float) -> None:
    """Until it is so: a file that somebody else writes rings no bell."""
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.1)


def become(host: Host, version: str) -> None:
    """The checkout is this version from now on."""
    file = host.tree / "aiagentchat/__init__.py"
    text = re.sub(r'(?<=__version__ = ").*(?=")', version, file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")


async def deploy(host: Host, *options: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        host.deploy, "--health", "60", "--settle", "1", "--drain", "5m", *options, within=WITHIN
    )


def running(host: Host) -> str:
    """The version of the current release."""
    return host.current.resolve().name.partition("-")[0]


async def test_a_turn_that_runs_finishes_and_nothing_is_lost_whatever_is_deployed(people: People, model: Model) -> None:
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as name:
        host = Host(Path(name))
        host.make(port=free_port(), real=True)
        host.listen()
        try:
            await _story(people, model, host)
        finally:
            host.close()


async def _story(people: People, model: Model, host: Host) -> None:
    gate = Gate(host.folder / "gate")
    become(host, "1.0")
    prepared = await deploy(host)
    assert prepared.returncode == 2, prepared.stdout + prepared.stderr
    async with _house(people, model, host, host.folder / "gate") as house:
        said = await _first(house, host)
        said += await _room_by_hand(host)
        said += await _upgrade_while_a_turn_runs(house, host, gate)
        said += await _failed_upgrade(house, host)
        said += await _back_again(house, host)

    assert KEY not in said
    assert house.account.access_token not in said


async def _first(house: House, host: Host) -> str:
    done = await deploy(host)
    assert done.returncode == 0, done.stdout + done.stderr + host.journal()
    assert running(host) == "1.0"
    await house.settle_in()
    assert await house.answer(await house.ask(script("first", Step(text="From the first release.")))) != ""
    return done.stdout + done.stderr


async def _room_by_hand(host: Host) -> str:
    """As docs/how-to/add-a-room.md has it: the settings and the secrets are root's, and stay so."""
    before = host.config.stat()
    said = await asyncio.to_thread(typed, host, "bootstrap", "--dry-run", "--room", "pantry", "--no-space")
    assert "would do  room pantry: in config.yaml" in said
    said += await asyncio.to_thread(typed, host, "bootstrap", "--room", "pantry", "--no-space")
    said += await asyncio.to_thread(typed, host, "reload")
    rooms = await asyncio.to_thread(typed, host, "rooms")
    after = host.config.stat()

    assert "done      room pantry: in config.yaml" in said
    assert "pantry" in rooms
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    return said + rooms


def typed(host: Host, *words: str) -> str:
    """What `aiagentchat …` prints, typed on the host by root. In Anna's own room she alone has any power to give."""
    argv = [str(host.root / "usr/local/bin/aiagentchat"), *words]
    done = subprocess.run(argv, env=clean_env(HOME="/root"), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode in (0, TO_LOOK_AT), done.stdout + done.stderr
    return done.stdout + done.stderr


async def _upgrade_while_a_turn_runs(house: House, host: Host, gate: Gate) -> str:
    become(host, "2.0")
    command = await house.ask(
        script("work", Step(text="Working.", tool="Bash", input=gate.tool), Step(text="The work is over."))
    )
    await gate.until_reached()
    async with asyncio.TaskGroup() as group:
        deploying = group.create_task(deploy(host))
        await until(lambda: '"daemon.draining"' in host.journal(), within=WITHIN)
        later = await house.ask(script("later", Step(text="Typed while it finished.")))
        await until(lambda: later in host.journal(), within=60)
        await gate.open()
        await until(lambda: '"daemon.stopped"' in host.journal(), within=60)
        between = await house.ask(script("between", Step(text="Typed while nothing ran.")))

    done = deploying.result()
    assert done.returncode == 0, done.stdout + done.stderr + host.journal()
    assert "1 turn still running" in done.stdout
    assert running(host) == "2.0"
    ends = [await house.ended(asked) for asked in (command, later, between)]
    assert ends == ["✅", "✅", "✅"]
    texts = ("The work is over.", "Typed while it finished.", "Typed while nothing ran.")
    assert [house.told(text) for text in texts] == [1, 1, 1]
    assert '"command.interrupted"' not in host.journal()
    return done.stdout + done.stderr


async def _failed_upgrade(house: House, host: Host) -> str:
    become(host, "3.0")
    file, migration = host.tree / "aiagentchat/app/build.py", host.tree / "aiagentchat/store/migrations/9999_last.sql"
    sound = file.read_text(encoding="utf-8")
    line = "            client = await stack.enter_async_context(connected(live, ledger, me, clock))\n"
    assert line in sound
    file.write_text(sound.replace(line, BROKEN + line), encoding="utf-8")
    migration.write_text("CREATE TABLE of_the_future (id INTEGER PRIMARY KEY) STRICT;\n", encoding="utf-8")
    done = await deploy(host)
    file.write_text(sound, encoding="utf-8")
    migration.unlink()
    asked = await house.ask(script("after", Step(text="Still here.")))

    assert done.returncode == 1, done.stdout + done.stderr
    assert "is of version 9999" in host.journal()
    assert "putting back the copy" in done.stdout
    assert "rolled back" in done.stderr
    assert "runs again" in done.stderr
    assert (running(host), host.releases()) == ("2.0", ["1.0", "2.0"])
    assert await house.ended(asked) == "✅"
    return done.stdout + done.stderr


async def _back_again(house: House, host: Host) -> str:
    done = await deploy(host, "--rollback")
    asked = await house.ask(script("back", Step(text="From the first release, again.")))

    assert done.returncode == 0, done.stdout + done.stderr + host.journal()
    assert running(host) == "1.0"
    assert await house.ended(asked) == "✅"
    assert USER in host.unit.one("User")
    return done.stdout + done.stderr
