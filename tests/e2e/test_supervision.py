"""Whatever is killed, nothing of a turn is left, the room is told, and the conversation goes on."""

import asyncio
import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from aiagentchat.render import words
from rig.daemon import NAMESPACE
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.torture import census
from rig.unprivileged import as_unprivileged, clean_env
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap, needs_root
from tests.process.trees import TORTURE

pytestmark = [needs_bubblewrap, pytest.mark.usefixtures("cli")]

BASH = {"allow": ["Bash"]}
_FIRST = 300_000 + 10 * (os.getpid() % 10_000)
USERS: dict[str, Any] = {
    "isolation": "users",
    "isolation_minimum": "users",
    "as_root": True,
    "room_uids": f"{_FIRST}-{_FIRST + 9}",  # tests run side by side
}
ORPHANS = "(setsid sleep 601 &); (setsid nohup sleep 602 > /dev/null 2>&1 &); (env -i setsid sleep 603 &)"
HOLD = f"{ORPHANS}; echo started; tail -f /dev/null"


def _argv(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _below(house: House) -> list[psutil.Process]:
    """Every process that the daemon has started, and theirs; but for a shim that waits for its run."""
    below = psutil.Process(house.daemon.pid).children(recursive=True)
    return [each for each in below if not ("process.shim" in _argv(each) and census.waits(each.pid))]


def _role(process: psutil.Process) -> str:
    """What it is in a run."""
    name, argv = process.name(), _argv(process)
    if name in {"bwrap", "claude"}:
        return name
    return "shim" if "process.shim" in argv else "inside" if "inside.main" in argv else ""


async def _holding(house: House, mark: str) -> str:
    """A command whose tool holds on, with children that got away."""
    command = await house.ask(script(mark, Step(text="Working.", tool="Bash", input={"command": HOLD})))

    def grown() -> bool:
        return sum("sleep 60" in _argv(each) for each in _below(house)) >= 3

    async with asyncio.timeout(30):
        while not grown():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    return command


def _part(process: psutil.Process) -> str:
    """What it is of the run: the shim, bubblewrap, the first program inside, or another program, by its name."""
    try:
        return _role(process) or process.name()
    except psutil.Error:  # it has just ended
        return ""


def _run(below: list[psutil.Process]) -> list[psutil.Process]:
    """The shim that the program runs under, and all that is below it: beside the turn, files are looked at."""
    for shim in below:
        run = [shim, *shim.children(recursive=True)] if _part(shim) == "shim" else []
        if any(_part(each) == "claude" for each in run):
            return run
    return []


async def _killed(house: House, victim: str) -> None:
    """Kill this part of the run in a turn, and see what comes of it."""
    mark = f"hold on, {house.account.user_id}"
    command = await _holding(house, mark)
    watched = _below(house)
    {_part(each): each for each in reversed(_run(watched))}[victim].kill()

    assert await house.ended(command) == "❌"
    assert words.AGENT_DIED in await house.answer(command)
    _, alive = psutil.wait_procs(watched, timeout=10)
    assert [_argv(each) for each in alive] == []
    following = f"go on, {house.account.user_id}"
    assert await house.ended(await house.ask(script(following, Step(text="Here I am.")))) == "✅"
    assert mark in house.prompts(following)[-1]
    assert house.told("I started a new one") == 0
    assert [each for each in _below(house) if each.status() == psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize("victim", ["shim", "bwrap", "inside", "claude"])
@pytest.mark.long
async def test_whatever_is_killed_nothing_is_left_and_the_conversation_goes_on(
    people: People, model: Model, workplace: Path, victim: str
) -> None:
    async with move_in(people, model, workplace, room=BASH) as house:
        await _killed(house, victim)


@needs_root
@pytest.mark.parametrize("victim", ["shim", "inside", "claude"])
@pytest.mark.long
async def test_whatever_is_killed_of_a_user_of_its_own_nothing_is_left(
    people: People, model: Model, crossroads: Path, victim: str
) -> None:
    async with move_in(people, model, crossroads, room=BASH, **USERS) as house:
        uid = int(await house.shell("id -u"))
        await _killed(house, victim)
        await house.daemon.stop()

        # With these attributes it leaves out whoever ends while we look.
        everybody = [each.info for each in psutil.process_iter(["uids", "cmdline"])]
        assert [each["cmdline"] for each in everybody if each["uids"] and each["uids"].real == uid] == []


@needs_root
@pytest.mark.long
async def test_as_the_first_process_of_a_container_it_leaves_nothing_behind(
    people: People, model: Model, crossroads: Path
) -> None:
    async with move_in(people, model, crossroads, room=BASH, start=False, **USERS) as house:
        house.daemon.before = NAMESPACE
        async with house.daemon:
            await house.settle_in()
            started = await house.daemon.until_line("daemon.starting")
            said = await house.shell(f"{ORPHANS}; echo left")
            await _killed(house, "shim")
            left = [each for each in _below(house) if "sleep 60" in _argv(each)]

            assert started["pid"] == 1
            assert said.strip() == "left"
            assert left == []
            assert await house.daemon.stop() == 0
    assert house.daemon.lines()[-1]["event"] == "daemon.stopped"


def _sleeper(run: str) -> "subprocess.Popen[bytes]":
    """A process that carries the mark of a run."""
    argv = [*as_unprivileged(), "/bin/sleep", "604"]
    return subprocess.Popen(argv, env=clean_env(AICHAT_RUN=run), start_new_session=True)


@pytest.mark.long
async def test_what_a_life_that_was_killed_has_left_is_ended_and_told(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, room=BASH) as house:
        run = (await house.shell('echo "$AICHAT_RUN"')).strip()
        await house.daemon.kill()
        left, other = _sleeper(run), _sleeper(secrets.token_hex(16))
        await house.daemon.start(until="sync.resumed")

        assert await asyncio.to_thread(left.wait, 10) == -signal.SIGKILL
        told = await house.anna.until_message(house.room, "from before the last restart", sender=house.account.user_id)
        assert told.body == "1 process of a run from before the last restart still ran here; it was ended."
        assert other.poll() is None
        other.kill()
        other.wait()
        assert (await house.shell("echo fine")).strip() == "fine"


@pytest.mark.long
async def test_a_warm_second_turn_after_a_tree_that_got_away(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room=BASH) as house:
        house.workspace().mkdir(exist_ok=True)
        (house.workspace() / "torture.py").write_text(TORTURE.read_text())
        house.daemon.write_config()
        word = f"mark-{secrets.token_hex(8)}"
        run = (await house.shell('echo "$AICHAT_RUN"')).strip()
        grown = await house.shell(
            f"/usr/bin/python3 -ISE torture.py {word} > ready 2>&1 < /dev/null & {ORPHANS};"
            " until command grep -q ready ready; do sleep 0.1; done;"
            f" cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | command grep -c {word}"
        )
        again = (await house.shell('echo "$AICHAT_RUN"')).strip()

        assert int(grown.split()[-1]) > 25
        assert again == run
        assert [_argv(each) for each in psutil.process_iter() if word in _argv(each)] == []
        assert [_argv(each) for each in _below(house) if "sleep 60" in _argv(each)] == []
