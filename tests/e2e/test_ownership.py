"""Two daemons with two data_dirs and one account: one of them serves it."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged, own
from tests.e2e.house import House, move_in


def second_daemon(people: People, house: House, model: Model) -> Daemon:
    """A daemon for the same account and rooms, with a folder and a device of its own: keys are not shared."""
    first = house.daemon
    (folder := first.folder / "second").mkdir()
    rooms = first.settings["rooms"]
    homeserver = first.settings["matrix"]["homeserver"]
    account = people.homeserver.login(house.account.user_id[1:].partition(":")[0])
    made = Daemon(folder, homeserver, account, rooms, model_url=model.url, users=[house.anna.id])
    made.write_config()
    own(first.folder)
    return made


async def run_in_vain(daemon: Daemon, *words: str) -> "subprocess.CompletedProcess[str]":
    """Start it as one does who expects it to end by itself."""
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "run", *words, "--config", str(daemon.config)]
    return await asyncio.to_thread(
        subprocess.run, argv, env=daemon.environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.long
async def test_a_second_daemon_on_the_account_refuses_and_says_where_the_first_one_is(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        refused = await run_in_vain(second_daemon(people, house, model))

        assert refused.returncode == 4
        assert all(part in refused.stderr for part in (house.account.device_id, "s ago", "--take-over"))
        assert "Traceback" not in refused.stdout + refused.stderr
        assert await house.ended(await house.ask("still there?")) == "✅"


@pytest.mark.long
async def test_take_over_ends_the_first_one_and_the_second_one_answers(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        await house.ended(await house.ask("first"))
        second = second_daemon(people, house, model)
        second.arguments = ("--take-over",)
        async with second:
            assert await house.daemon.wait() == 4
            command = await house.ask(script("who is there", Step(text="The second one.")))

            assert await house.ended(command) == "✅"
            assert (await house.answer(command)).count("The second one.") == 1
        [ended] = [line for line in house.daemon.lines() if line["event"] == "daemon.ended"]
        assert "taken over" in ended["error"]
        assert "owner.given_back" not in {line["event"] for line in house.daemon.lines()}


@pytest.mark.long
async def test_after_a_clean_end_another_one_may_start_at_once(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        assert await house.daemon.stop() == 0
        async with second_daemon(people, house, model) as second:
            claimed = await second.until_line("owner.claimed")

            assert claimed["before"] is None
            assert await house.ended(await house.ask("hello")) == "✅"


@pytest.mark.long
async def test_after_kill_9_the_same_data_starts_again_at_once(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.daemon.kill()
        begun = time.monotonic()
        await house.daemon.start(until="service.started")

        assert time.monotonic() - begun < 10
        assert await house.ended(await house.ask("hello")) == "✅"
