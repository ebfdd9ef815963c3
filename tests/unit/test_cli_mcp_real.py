"""`cchat mcp` and the skill in a Claude Code of somebody's own: installed as the how-to says, listed, and used."""

import asyncio
import json
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
from aiagentchat.exchange.tools import offered
from rig.claude import cli_env
from rig.model import Model
from rig.script import Step, script
from tests.unit.claude_stage import PATIENCE
from tests.unit.mcp_stage import CALLER, KITCHEN, SECRET, TOKEN, FakeGateway, listening

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
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
        (folder / "home").mkdir()
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

    async def install_server(self) -> None:
        """As the how-to says; `cchat` is the one that is tested."""
        cchat = [sys.executable, "-m", "aiagentchat.cli.cchat"]
        async with self._started("mcp", "add", SERVER, "--", *cchat, "mcp", "--gateway", str(self.socket)) as process:
            said, _ = await process.communicate()
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
    await desk.install_server()
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
