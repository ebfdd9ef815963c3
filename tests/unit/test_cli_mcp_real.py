"""`cchat mcp` and the skill in a Claude Code of somebody's own: installed as the how-to says, listed, and used."""

import asyncio
import json
import shlex
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.cli.exchange.mcp import AUDIENCE
from aiagentchat.core.ids import UserId
from aiagentchat.core.meta import META_KEY
from aiagentchat.exchange.tools import offered
from rig.claude import cli_env
from rig.homeserver import PASSWORD, Homeserver
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.docs.command_blocks import blocks
from tests.unit.claude_stage import PATIENCE
from tests.unit.mcp_stage import CALLER, KITCHEN, SECRET, TOKEN, FakeGateway, listening

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
CCHAT = [sys.executable, "-m", "aiagentchat.cli.cchat"]
SERVER = "aiagentchat"
THEM = "@other:example.org/there"


_STATUS = {"type": "control_request", "request_id": "status", "request": {"subtype": "mcp_status"}}


class Desk:
    """Somebody's folders, and their Claude Code."""

    def __init__(self, cli: Path, model: Model, folder: Path) -> None:
        self._cli = cli
        self._folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        self._env = cli_env(folder / "home", model.url, PYTHONPATH=str(ROOT))
        self._env["PATH"] = f"{folder / 'bin'}:{self._env['PATH']}"
        (folder / "home").mkdir()
        (folder / "bin").mkdir()
        (folder / "bin/claude").symlink_to(cli)
        (folder / "bin/cchat").write_text(f'#!/bin/sh\nexec {shlex.join(CCHAT)} "$@"\n')
        (folder / "bin/cchat").chmod(0o755)
        token = folder / "operator.token"
        token.write_text(TOKEN)
        token.chmod(0o600)

    @property
    def socket(self) -> Path:
        """Of the gateway."""
        return self._folder / "g.sock"

    def install_skill(self) -> None:
        """As the how-to says."""
        shutil.copytree(ROOT / "deploy/skill/cchat", self._folder / "home/config/skills/cchat")

    async def install_server(self, *options: str) -> None:
        """As the how-to says; `cchat` is the one that is tested."""
        async with self._started("mcp", "add", SERVER, "--", *CCHAT, "mcp", *options) as process:
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    async def follow(self, block: str, instead: Mapping[str, str]) -> None:
        """Type a block of a page, with our own in the place of its examples, and the password when it is asked for."""
        for example, own in instead.items():
            assert example in block
            block = block.replace(example, own)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-ec", block, cwd=self.project, env=self._env, stdin=pipe, stderr=pipe
        )
        _, said = await process.communicate(f"{PASSWORD}\n".encode())
        assert process.returncode == 0, said.decode()

    async def ask(self, text: str, *more: str) -> list[Mapping[str, Any]]:
        """All lines of a turn, which begins when the server is there: the program itself does not wait for that."""
        flags = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", *more]
        line = {"type": "user", "message": {"role": "user", "content": text}, "uuid": str(uuid.uuid4())}
        async with self._started(*flags) as process, asyncio.timeout(PATIENCE):
            assert process.stdin is not None
            assert process.stdout is not None
            while True:
                process.stdin.write(json.dumps(_STATUS).encode() + b"\n")
                status = json.loads(await process.stdout.readline())["response"]["response"]
                if [server["status"] for server in status["mcpServers"]] != ["pending"]:
                    break
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.write_eof()
            return [json.loads(each) async for each in process.stdout]

    @asynccontextmanager
    async def _started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            self._cli,
            *arguments,
            cwd=self.project,
            env=self._env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def results(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """What the tools have answered, in their order."""
    blocks = [block for line in lines if line["type"] == "user" for block in line["message"]["content"]]
    return [
        (json.dumps(block["content"]), block.get("is_error", False))
        for block in blocks
        if block["type"] == "tool_result"
    ]


@pytest.mark.long
async def test_every_tool_is_listed_and_called_in_somebodys_own_claude_code(
    cli: Path, model: Model, tmp_path: Path
) -> None:
    desk, fake = Desk(cli, model, tmp_path), FakeGateway()
    (desk.project / "a.txt").write_text("hello")
    fake.exchange.say(KITCHEN, "Hello from the kitchen.", sender=UserId("@alice:example.org"))
    fake.exchange.say(SECRET, "the word is swordfish")
    cook = await fake.exchange.assign_task(CALLER, KITCHEN, fake.exchange.us, "Cook.")
    given: dict[str, dict[str, Any]] = {
        "send": {"text": "Hello.", "to": THEM},
        "ask": {"text": "Anybody?", "to": THEM, "seconds": 1},
        "read": {},
        "history": {"words": "kitchen"},
        "who": {},
        "rooms": {},
        "tasks": {},
        "assign_task": {"text": "Wash up.", "to": THEM},
        "update_task": {"task": cook.id, "state": "done", "note": "Eaten."},
        "send_file": {"path": "a.txt"},
    }
    steps = [Step(tool=f"mcp__{SERVER}__{name}", input=arguments) for name, arguments in given.items()]
    desk.install_skill()
    await desk.install_server("--gateway", str(desk.socket))
    async with listening(fake, desk.socket):
        asked = script("speak", *steps, Step(text="That was it."))
        lines = await desk.ask(asked, "--allowedTools", f"mcp__{SERVER}")
        await fake.until(0)

    [begun] = [line for line in lines if line.get("subtype") == "init"]
    assert {name.removeprefix(f"mcp__{SERVER}__") for name in begun["tools"] if SERVER in name} == set(given)
    assert set(given) == set(offered(AUDIENCE))
    assert "cchat" in begun["skills"]
    told = dict(zip(given, results(lines), strict=True))
    assert [name for name, (_, failed) in told.items() if failed] == []
    assert "| Hello from the kitchen." in told["read"][0]
    assert "no answer within 1 s" in told["ask"][0]
    assert f"{cook.id} done" in told["update_task"][0]
    assert fake.files == [(KITCHEN, {"name": "a.txt", "content": "aGVsbG8="})]
    assert "swordfish" not in json.dumps(lines)
    assert TOKEN not in json.dumps(lines)
    # It was an instance of its own.
    instances = {message.meta.instance for message in fake.exchange.messages.values()}
    assert len(instances) == 1
    assert str(instances.pop()).startswith("project-")


@pytest.mark.long
async def test_every_tool_is_listed_and_called_there_without_a_gateway(
    cli: Path, model: Model, people: People, homeserver: Homeserver, tmp_path: Path
) -> None:
    anna, bert = await people.person(), await people.person("bert")
    room = await people.room(anna, bert)
    closed = await people.room(bert, anna)
    await bert.request("PUT", f"/rooms/{closed}/state/m.room.encryption/", {"algorithm": "m.megolm.v1.aes-sha2"})
    await bert.send(room, "Hello from the kitchen.")
    task = {"version": 1, "id": "m1", "kind": "task", "task": "t1", "to": anna.id}
    await bert.send(room, {"msgtype": "m.text", "body": "[TASK] Cook.", META_KEY: task})
    desk = Desk(cli, model, tmp_path)
    (desk.project / "a.txt").write_text("hello")
    given: dict[str, dict[str, Any]] = {
        "rooms": {},
        "who": {},
        "send": {"room": room, "text": "Hello.", "to": bert.id},
        "ask": {"room": room, "text": "Anybody?", "to": bert.id, "seconds": 1},
        "read": {"room": room},
        "history": {"room": room, "words": "kitchen"},
        "assign_task": {"room": room, "text": "Wash up.", "to": bert.id},
        "update_task": {"room": room, "task": "t1", "state": "done", "note": "Eaten."},
        "tasks": {"room": room, "all": True},
        "send_file": {"room": room, "path": "a.txt", "caption": "The list."},
    }
    steps = [Step(tool=f"mcp__{SERVER}__{name}", input=arguments) for name, arguments in given.items()]
    refused = Step(tool=f"mcp__{SERVER}__send", input={"room": closed, "text": "A secret."})
    own = {"https://matrix.example.org": homeserver.url, "--user anna": f"--user {anna.id}"}
    [block] = [each.text for each in blocks("docs/how-to/mcp.md") if each.text.startswith("cchat login")]
    await desk.follow(block, own)
    lines = await desk.ask(script("alone", *steps, refused, Step(text="So.")), "--allowedTools", f"mcp__{SERVER}")
    shown = await bert.until_message(room, "The list.", sender=anna.id)
    said = [event["content"] for event in await bert.history(room) if event["sender"] == anna.id]

    [begun] = [line for line in lines if line.get("subtype") == "init"]
    assert {name.removeprefix(f"mcp__{SERVER}__") for name in begun["tools"] if SERVER in name} == set(given)
    assert set(given) == set(offered(AUDIENCE))
    *answers, no = results(lines)
    told = dict(zip(given, answers, strict=True))
    assert [name for name, (_, failed) in told.items() if failed] == []
    assert f"({room}): read, send" in told["rooms"][0]
    assert f"({closed}): nothing; encrypted" in told["rooms"][0]
    assert "no answer within 1 s; it is in the room" in told["ask"][0]
    assert "| Hello from the kitchen." in told["read"][0]
    assert "| Hello from the kitchen." in told["history"][0]
    assert "t1 done" in told["tasks"][0]
    assert f" assigned: {anna.id} " in told["tasks"][0]
    assert shown.content["filename"] == "a.txt"
    assert no[1]
    assert "is encrypted, and cchat has no keys" in no[0]
    assert all(META_KEY in content for content in said if "body" in content)
    assert not [event for event in await bert.history(closed) if event["type"] == "m.room.message"]
