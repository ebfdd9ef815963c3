"""`cchat` through the gateway of a real daemon, on a real homeserver: what is accepted runs once, whatever breaks."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rig.daemon import Daemon
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import CCHAT
from tests.e2e.house import House, move_in

pytest.importorskip("aiagentchat.gateway.service")

PATIENCE = 90.0


@asynccontextmanager
async def with_gateway(people: People, model: Model, folder: Path) -> AsyncIterator[House]:
    """A house whose gateway is open, at its socket alone."""
    async with move_in(people, model, folder, gateway={"enabled": True, "port": 0}) as house:
        await house.daemon.until_line("gateway.open")
        yield house


def answers(house: House, text: str) -> int:
    """How often the agent has said so, apart from what it was told to say."""
    said = (each.body for each in house.anna.view(house.room) if each.sender == house.account.user_id)
    return sum(body.startswith(text) for body in said)


async def cchat(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Run it with patience: exit code, stdout, stderr."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *CCHAT, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=clean_env(HOME=str(home))
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


class Cutting:
    """A socket in front of the gateway's. Once, it kills the daemon when the answer comes, and gives no answer."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.path = daemon.data_dir / "cut.sock"
        self.is_to_cut = True
        self.killed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(OSError):
            behind, ahead = await asyncio.open_unix_connection(self._daemon.data_dir / "gateway" / "operator.sock")
            async with closed_in_the_end(ahead), asyncio.TaskGroup() as group:
                asking = group.create_task(_pass_on(reader, ahead))
                answer = await behind.read(65536)
                if self.is_to_cut and answer.startswith(b"HTTP/1.1 202"):
                    self.is_to_cut = False
                    await self._daemon.kill()
                    self.killed.set()
                else:
                    writer.write(answer)
                    await _pass_on(behind, writer)
                asking.cancel()
        writer.close()


@asynccontextmanager
async def closed_in_the_end(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Leave no connection behind."""
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.mark.long
async def test_a_question_is_answered_and_its_command_runs_once(
    people: People, model: Model, workplace: Path, tmp_path: Path
) -> None:
    async with with_gateway(people, model, workplace) as house:
        config = ["--config", str(house.daemon.config)]
        mark = f"ask it once {secrets.token_hex(8)}"
        text = script(mark, Step(text="It is **done**."))
        code, out, err = await cchat(tmp_path, "ask", house.room, text, *config)
        status = json.loads((await cchat(tmp_path, "status", "--json", *config))[1])
        found = json.loads((await cchat(tmp_path, "read", "room0", "--json", *config))[1])

        assert (code, out.strip(), err) == (0, "It is **done**.", "")
        assert status["status"] == "healthy"
        assert [message["body"] for message in found["messages"] if mark in message["body"]]
        assert len(house.prompts(mark)) == 1


async def test_a_daemon_that_is_killed_between_its_commit_and_its_answer_says_and_runs_it_once(
    people: People, model: Model, workplace: Path, tmp_path: Path
) -> None:
    async with with_gateway(people, model, workplace) as house:
        cutting = Cutting(house.daemon)
        server = await asyncio.start_unix_server(cutting.serve, cutting.path)
        token = str(house.daemon.data_dir / "gateway" / "operator.token")
        mark = f"run it once {secrets.token_hex(8)}"
        text = script(mark, Step(text="It is done."))
        arguments = ["send", house.room, text, "--to", house.account.user_id, "--json"]
        async with server, asyncio.TaskGroup() as group:
            sending = group.create_task(
                cchat(tmp_path, *arguments, "--gateway", str(cutting.path), "--token-file", token)
            )
            await cutting.killed.wait()
            await house.daemon.start(until="sync.resumed")
            code, out, _ = await sending
        message: dict[str, Any] = json.loads(out)
        await house.anna.until(lambda: answers(house, "It is done."), what="the answer")

        assert (code, message["state"] in ("accepted", "sent", "delivered", "read", "answered")) == (0, True)
        assert house.told(mark) == 1
        assert answers(house, "It is done.") == 1
        assert len(house.prompts(mark)) == 1
