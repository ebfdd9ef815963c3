"""Anna at `cchat chat`, and Claude, who is played by the test."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.render.approval import Asking, tool_question
from aiagentchat.render.message import message
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import People
from rig.unprivileged import clean_env
from tests.e2e.terminal import PATIENCE, Terminal, in_terminal

CCHAT = [sys.executable, "-m", "aiagentchat.cli.cchat"]
QUESTION = message(tool_question("Bash", {"command": "date"}, Asking(who="Asked.", minutes=60)).text, notice=False)
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


async def run(
    arguments: list[str], env: Mapping[str, str], lines: str = "", *, here: Path | None = None
) -> tuple[int, str, str]:
    """Run cchat without a terminal, in the folder `here`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *CCHAT, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), cwd=here
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(lines.encode())
    return process.returncode or 0, out.decode(), err.decode()


def environment(homeserver: str, token: str) -> dict[str, str]:
    """What a person has in the environment."""
    return clean_env(CCHAT_HOMESERVER=homeserver, CCHAT_ACCESS_TOKEN=token)


async def set_scene(people: People, homeserver: Homeserver) -> Scene:
    """Both of them in a room."""
    anna, claude = await people.person(), await people.person("claude")
    room = await people.room(anna, claude)
    return Scene(anna, claude, room, environment(homeserver.url, anna.account.access_token))
