"""Whether the daemon lives, asked where no gateway answers (yet)."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.model import Model
from rig.people import People
from tests.e2e.house import move_in


async def healthcheck(daemon: Daemon, *more: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "aiagentchat", "healthcheck", "--config", str(daemon.config), *more]
    done = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
async def test_a_start_that_waits_for_its_homeserver_lives_and_is_not_ready(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        house.daemon.settings["matrix"]["homeserver"] = "http://127.0.0.1:9"
        await house.daemon.start(until="matrix.unreachable")
        alive, ready = await healthcheck(house.daemon), await healthcheck(house.daemon, "--ready")

        assert await house.daemon.stop() == 0
    assert alive == (0, "degraded\n")
    assert ready == (1, "aiagentchat: The daemon is not ready: the homeserver was not heard yet.\n")


@pytest.mark.long
async def test_a_daemon_whose_gateway_cannot_be_opened_lives(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False, gateway={"enabled": True, "port": 0}) as house:
        (house.daemon.data_dir / "gateway" / "operator.sock" / "in the way").mkdir(parents=True)
        async with house.daemon:
            await house.daemon.until_line("gateway.not_open")
            await house.settle_in()
            alive = await healthcheck(house.daemon)

    assert alive[0] == 0


@pytest.mark.long
async def test_a_program_that_hangs_is_named_and_holds_nobody_up(people: People, model: Model, workplace: Path) -> None:
    program = workplace / "hangs"
    program.write_text(f"#!/bin/sh\necho asked >> {workplace}/asked\nexec sleep 600\n")
    program.chmod(0o755)
    agents = {"claude": {"type": "claude-code", "binary": str(program)}}
    gateway = {"enabled": True, "port": 0}
    async with move_in(people, model, workplace, agents=agents, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        alive = [await healthcheck(house.daemon) for _ in range(3)]
        ready = [await healthcheck(house.daemon, "--ready") for _ in range(3)]
        missing = "the program of agent claude cannot be started, or does not answer"

        assert alive == [(0, "healthy\n")] * 3
        assert ready == [(1, f"aiagentchat: The daemon is not ready: {missing}.\n")] * 3
        assert (workplace / "asked").read_text() == "asked\n"
