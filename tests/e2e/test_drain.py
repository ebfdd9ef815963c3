"""Ending the daemon: at once, with the rooms told, or when its turns are done."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged
from tests.e2e.house import House, move_in, pipe_within_reach

ALLOWED = {"allow": ["Bash"]}


class Gate:
    """A tool that says when it runs, and ends when the test says so."""

    def __init__(self, folder: Path) -> None:
        self._started, self._opened = pipe_within_reach(folder), pipe_within_reach(folder, "opened")
        self.tool = {"command": f"echo started > {self._started}; cat {self._opened}"}

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self._started.read_text) == "started\n"

    async def open(self) -> None:
        await asyncio.to_thread(self._opened.write_text, "go on\n")


def drain(house: House, wait: str) -> "subprocess.CompletedProcess[str]":
    words = ["drain", "--wait", wait, "--config", str(house.daemon.config)]
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", *words]
    return subprocess.run(argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.long
async def test_a_drain_lets_the_turn_end_and_keeps_what_comes_meanwhile_for_the_next_life(
    people: People, model: Model, workplace: Path
) -> None:
    gate = Gate(workplace)
    async with move_in(people, model, workplace, room=ALLOWED) as house:
        command = await house.ask(
            script("work", Step(text="Working.", tool="Bash", input=gate.tool), Step(text="Done."))
        )
        await gate.until_reached()
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(asyncio.to_thread(drain, house, "1m"))
            await house.daemon.until_line("daemon.draining")
            later = await house.ask(script("later", Step(text="In the next life.")))
            await house.daemon.until_line("event.decided", event_id=later)
            house.daemon.send_signal(signal.SIGUSR1)  # once more changes nothing
            await gate.open()

        drained = draining.result()
        assert (drained.returncode, drained.stderr) == (0, "")
        assert "1 turn still running" in drained.stdout
        assert await house.daemon.wait() == 0
        await house.anna.until_message(house.room, "Done.", sender=house.account.user_id)
        assert model.requests("In the next life.") == []
        await house.daemon.start(until="service.started")
        assert await house.ended(command) == "✅"
        assert await house.ended(later) == "✅"


@pytest.mark.long
async def test_when_the_wait_is_over_what_runs_is_cut_short_and_said_so(
    people: People, model: Model, workplace: Path
) -> None:
    gate = Gate(workplace)
    async with move_in(people, model, workplace, room=ALLOWED) as house:
        command = await house.ask(script("work", Step(text="Working.", tool="Bash", input=gate.tool)))
        await gate.until_reached()
        drained = await asyncio.to_thread(drain, house, "1s")

        assert drained.returncode == 1
        assert "1 turn cut short: room0" in drained.stderr
        assert await house.daemon.wait() == 0
        assert await house.ended(command) == "⚠️"


@pytest.mark.long
async def test_sigterm_tells_the_room_before_the_daemon_is_gone(people: People, model: Model, workplace: Path) -> None:
    gate = Gate(workplace)
    async with move_in(people, model, workplace, room=ALLOWED) as house:
        command = await house.ask(script("work", Step(text="Working.", tool="Bash", input=gate.tool)))
        await gate.until_reached()
        begun = time.monotonic()

        assert await house.daemon.stop() == 0
        assert time.monotonic() - begun < 10
        assert await house.ended(command) == "⚠️"
        told = [line["event"] for line in house.daemon.lines()]
        assert "daemon.not_told" not in told
        assert told.index("command.interrupted") < told.index("owner.given_back") < told.index("daemon.stopped")


async def test_sigterm_ends_a_daemon_that_still_waits_for_its_homeserver(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        house.daemon.settings["matrix"]["homeserver"] = "http://127.0.0.1:9"
        await house.daemon.start(until="matrix.unreachable")

        assert await house.daemon.stop() == 0
