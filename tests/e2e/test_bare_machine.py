"""The tutorial alone, from a bare machine to the first answer: installed, with a homeserver, as the page says it.

Only what cannot be the reader's own is put in place of his: the ports, the key of a model that is a stub.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiagentchat.config.load import load
from rig.gateway import free_port
from rig.homeserver import Homeserver, HomeserverFailed
from rig.matrix_client import matrix_user
from rig.model import Model
from rig.setup import ROOT
from rig.unprivileged import clean_env, own
from tests.docs.command_blocks import Block, Shell, of_scene

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1800)]
ENDS_WITHIN = 120.0
"""Seconds that a terminal may take to come back after Ctrl-C; a Synapse on a busy machine takes a while."""

INSTALLS_WITHIN = 900.0
ANSWERS_WITHIN = 120.0
PIP = ("PIP_", "SSL_", "CURL_CA", "REQUESTS_CA", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY")
"""What a machine may need to reach its package index."""
DOCTOR_LOOKS = 10
"""The exit code of a doctor who has something to look at, but nothing that is wrong."""


def checkout(folder: Path) -> None:
    """What a clone would bring: the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


@asynccontextmanager
async def foreground(shell: Shell, block: Block, log: Path, **environ: str) -> AsyncIterator[None]:
    """A terminal in which it stays, until the block ends; Ctrl-C ends it."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - Popen.wait works from any loop, and starts at once
            shell.argv(block, foreground=True),
            env={**shell.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(process.wait, ENDS_WITHIN)
        finally:
            process.kill()


async def until(met: Callable[[], bool], log: Path, *, within: float = ANSWERS_WITHIN) -> None:
    """Look at every new line of a log, and every now and then, whether something is so."""
    try:
        async with asyncio.timeout(within):
            while not await asyncio.to_thread(met):
                tail = ["timeout", "1", "tail", "--follow", "--lines", "0", str(log)]
                await asyncio.to_thread(subprocess.run, tail, check=False, capture_output=True)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s\n{await asyncio.to_thread(_end_of, log)}") from None


def _end_of(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-3000:]


def answers(homeserver: Homeserver) -> bool:
    """Whether clients can ask it."""
    try:
        homeserver.request("GET", "/_matrix/client/versions")
    except HomeserverFailed:
        return False
    return True


async def test_the_tutorial_leads_from_a_bare_machine_to_the_first_answer(
    model: Model, workplace: Path, tmp_path: Path
) -> None:
    install, install_cli, doctor, run, synapse, put_key, begin = of_scene("bare machine")
    tree, port, home = workplace / "checkout", free_port(), workplace / "aiagentchat"
    checkout(tree)
    own(workplace)
    homeserver = Homeserver(tmp_path, port=port)  # not started: the page has one made, and this is how we ask it
    instead = {"http://127.0.0.1:8008": homeserver.url, "--out ~/synapse": f"--port {port} --out ~/synapse"}
    pip = {name: value for name, value in os.environ.items() if name.startswith(PIP)}
    environ = clean_env(HOME=str(workplace), **pip)
    one = Shell(tree, environ, instead)
    other = Shell(workplace, {**environ, "PATH": f"{tree}/.venv/bin{os.pathsep}{environ['PATH']}"}, instead)
    synapse_log, daemon_log = workplace / "synapse.log", workplace / "daemon.log"

    await asyncio.to_thread(one.run, install, within=INSTALLS_WITHIN)
    await asyncio.to_thread(one.run, install_cli, within=INSTALLS_WITHIN)
    async with foreground(one, synapse, synapse_log):
        await until(lambda: answers(homeserver), synapse_log, within=INSTALLS_WITHIN)
        await asyncio.to_thread(other.run, put_key, typed="sk-ant-api-offline\n")
        await asyncio.to_thread(other.run, begin)
        told = await asyncio.to_thread(other.run, doctor, within=INSTALLS_WITHIN, may_end_with=(0, DOCTOR_LOOKS))
        assert "matrix.homeserver" in told.stdout
        you = homeserver.login("you", (home / "secrets/accounts/you").read_text().strip())
        [room] = load(home / "config.yaml", {}).rooms
        async with (
            matrix_user(homeserver.url, you) as person,
            foreground(other, run, daemon_log, ANTHROPIC_BASE_URL=model.url),
        ):
            await until(lambda: "daemon.ready" in daemon_log.read_text("utf-8"), daemon_log)
            await person.join(str(room.id))
            await person.send(str(room.id), "hello")
            await person.until_message(
                str(room.id), "offline model", sender="@claude:localhost", timeout=ANSWERS_WITHIN
            )
    homeserver.close()
