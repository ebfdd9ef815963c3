"""What the daemon does when it, or something around it, ends and begins again."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged
from tests.e2e.house import House, move_in, pipe_within_reach


def _processes_of(house: House) -> list[str]:
    """Command lines of living processes that were started by this daemon: they carry its folder."""
    marker = str(house.daemon.folder)
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and marker in str(process.environ()):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def _cli(house: House, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", *words, "--config", str(house.daemon.config)]
    return subprocess.run(argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.long
async def test_what_was_typed_while_it_was_down_is_answered(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.ended(await house.ask("first"))
        await house.daemon.kill()
        command = await house.ask(script("are you there", Step(text="Back again.")))
        await house.daemon.start(until="service.started")

        assert await house.ended(command) == "✅"
        assert (await house.answer(command)).count("Back again.") == 1


@pytest.mark.long
async def test_sigterm_ends_everything_and_the_next_life_reports(people: People, model: Model, workplace: Path) -> None:
    pipe = pipe_within_reach(workplace)
    hold = {"command": f"(setsid sleep 600 &) ; echo started > {pipe}; tail -f /dev/null"}
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        command = await house.ask(script("hold on", Step(text="Working.", tool="Bash", input=hold)))
        waiting = await house.ask(script("then this", Step(text="Second done.")))
        assert await asyncio.to_thread(pipe.read_text) == "started\n"
        begun = time.monotonic()

        assert await house.daemon.stop() == 0
        assert time.monotonic() - begun < 10
        assert _processes_of(house) == []
        await house.daemon.start(until="service.started")
        assert await house.ended(command) == "⚠️"
        assert await house.ended(waiting) == "✅"
        told = await house.anna.until_message(house.room, "Interrupted by a restart", sender=house.account.user_id)
        assert told.reply_to == command


async def test_kill_9_in_a_turn_leaves_nothing_running_and_is_reported(
    people: People, model: Model, workplace: Path
) -> None:
    pipe = pipe_within_reach(workplace)
    hold = {"command": f"(setsid sleep 600 &) ; echo started > {pipe}; tail -f /dev/null"}
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        command_text = f"hold on in {house.room}"
        command = await house.ask(script(command_text, Step(text="Working.", tool="Bash", input=hold)))
        assert await asyncio.to_thread(pipe.read_text) == "started\n"
        watched = [psutil.Process(int(pid)) for pid in _pids(house)]
        await house.daemon.kill()
        gone, alive = psutil.wait_procs(watched, timeout=10)

        assert len(gone) >= 4
        assert alive == []
        await house.daemon.start(until="service.started")
        assert await house.ended(command) == "⚠️"
        assert len(model.requests(command_text)) == 1


def _pids(house: House) -> list[int]:
    return [child.pid for child in psutil.Process(house.daemon.pid).children(recursive=True)]


@pytest.mark.long
async def test_a_second_daemon_on_the_same_data_refuses(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        second = _cli(house, "run")

        assert second.returncode == 4
        assert "another daemon" in second.stderr
        assert str(house.daemon.pid) in second.stderr


@pytest.mark.long
async def test_a_reload_applies_and_a_bad_one_keeps_the_old(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        bob = await people.person("bob")
        await house.anna.invite(house.room, bob.id)
        await bob.join(house.room)
        house.daemon.settings["defaults"]["users"] = [house.anna.id, bob.id]
        house.daemon.write_config()

        done = _cli(house, "reload")
        assert (done.returncode, "Reloaded: 1 room" in done.stdout) == (0, True), done
        command = await bob.send(house.room, script("for bob", Step(text="Hello Bob.")))
        assert await house.ended(command) == "✅"

        house.daemon.settings["matrix"]["device_name"] = "another"
        house.daemon.write_config()
        refused = _cli(house, "reload")
        assert refused.returncode == 2
        assert "device_name" in refused.stderr
        house.daemon.config.write_text("rooms: 7\n")
        broken = _cli(house, "reload")
        assert broken.returncode == 2
        assert "config.yaml:1: rooms" in broken.stderr
        house.daemon.send_signal(signal.SIGHUP)
        await house.daemon.until_line("config.reload_refused")
        assert await house.ended(await house.ask("still there?")) == "✅"


@pytest.mark.long
async def test_without_a_key_the_room_reads_one_clear_sentence(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        del house.daemon.environ["ANTHROPIC_API_KEY"]
        async with house.daemon:
            await house.settle_in()
            command = await house.ask("hello")

            assert await house.ended(command) == "❌"
            assert "ANTHROPIC_API_KEY" in await house.answer(command)
            await house.daemon.until_line("agent.no_key")


@pytest.mark.long
async def test_a_missing_binary_is_one_clear_sentence(people: People, model: Model, workplace: Path) -> None:
    agents = {"claude": {"type": "claude-code", "binary": "/nowhere/claude"}}
    async with move_in(people, model, workplace, agents=agents) as house:
        command = await house.ask("hello")

        assert await house.ended(command) == "❌"
        assert "cannot find the Claude Code program" in await house.answer(command)


@pytest.mark.long
async def test_a_password_logs_in_once_and_keeps_its_device(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        del house.daemon.environ["MATRIX_ACCESS_TOKEN"]
        house.daemon.environ["MATRIX_PASSWORD"] = house.account.password
        async with house.daemon:
            first = await house.daemon.until_line("matrix.logged_in")
        await house.daemon.start(until="service.started")
        logins = [line["device"] for line in house.daemon.lines() if line["event"] == "matrix.logged_in"]
        await house.daemon.stop()

        assert logins == [first["device"]] * 2


async def test_a_wrong_token_is_one_sentence_and_exit_code_3(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        house.daemon.environ["MATRIX_ACCESS_TOKEN"] = "syt_wrong"
        house.daemon.write_config()
        ended = _cli(house, "run")

        assert ended.returncode == 3
        assert "whoami" in ended.stderr
        assert "syt_wrong" not in ended.stdout + ended.stderr


@pytest.mark.long
async def test_a_warm_process_is_used_again_and_ended_when_idle(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, warm_ttl=1) as house:
        await house.ended(await house.ask("one"))
        await house.ended(await house.ask("two"))

        await house.daemon.until_line("run.idle_ended")
        await house.daemon.until_line("run.ended")
        assert sum(line["event"] == "run.started" for line in house.daemon.lines()) == 1


async def test_logs_hold_neither_text_nor_secrets(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.ended(await house.ask(script("a private matter", Step(text="a private answer"))))

        log = house.daemon.log.read_text()
        assert "private matter" not in log
        assert "private answer" not in log
        assert house.account.access_token not in log
        assert "sk-ant-offline" not in log
        assert all("timestamp" in line and "level" in line for line in house.daemon.lines())


@pytest.mark.long
async def test_the_database_and_the_homes_are_private(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.ended(await house.ask("hello"))

        modes = {path.name: path.stat().st_mode & 0o077 for path in house.daemon.data_dir.iterdir()}
        assert set(modes.values()) == {0}
        assert house.daemon.data_dir.stat().st_mode & 0o077 == 0
        assert (house.daemon.data_dir / "homes/room0/.claude").stat().st_mode & 0o077 == 0


@pytest.mark.long
async def test_a_room_may_be_named_by_its_alias(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, rooms=0, start=False) as house:
        alias = f"alias-{house.account.device_id.lower()}"
        house.rooms.append(await people.room(house.anna, house.account, alias=alias))
        house.daemon.settings["rooms"] = [{"id": f"#{alias}:localhost", "name": "room0"}]
        async with house.daemon:
            await house.settle_in()

            assert await house.ended(await house.ask("hello")) == "✅"
            assert house.workspace().is_dir()


@pytest.mark.long
async def test_a_room_with_many_people_waits_to_be_addressed(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"mention_only": True}) as house:
        ignored = await house.ask("just talking to each other")
        name = house.account.user_id
        spoken = {"msgtype": "m.text", "body": "do it", "m.mentions": {"user_ids": [name]}}
        addressed = await house.anna.send(house.room, spoken)

        assert await house.ended(addressed) == "✅"
        assert house.anna.reactions(house.room, ignored) == {}


@pytest.mark.long
async def test_what_was_said_before_the_invite_is_not_answered(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, rooms=0, start=False) as house:
        house.rooms.append(await people.room(house.anna))
        house.daemon.settings["rooms"] = [{"id": house.room, "name": "room0"}]
        before = await house.ask("said among ourselves")
        await house.anna.invite(house.room, house.account.user_id)
        after = await house.ask("said to you, before you came in")
        async with house.daemon:
            await house.settle_in()

            assert await house.ended(after) == "✅"
            assert house.anna.reactions(house.room, before) == {}
