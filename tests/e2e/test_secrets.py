"""Secrets are where they must be and nowhere else: not in rooms, logs, arguments, files, or another process's sight."""

import asyncio
import subprocess
from pathlib import Path

import psutil
import pytest

from aiagentchat.store.vault import KEY_FILE
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged, clean_env
from tests.e2e.house import House, move_in

KEY = "sk-ant-api03-the-key-of-this-test-and-of-no-other"
LOOK = "for name in environ mem fd/0 maps; do head -c 1 < /proc/$0/$name > /dev/null && echo $name; done"


def _arguments() -> list[str]:
    """The command lines of all processes that anybody can see."""
    found = []
    for process in psutil.process_iter():
        try:
            found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def _look_into(pid: int) -> "subprocess.CompletedProcess[bytes]":
    argv = [*as_unprivileged(), "sh", "-c", LOOK, str(pid)]
    return subprocess.run(argv, capture_output=True, env=clean_env(), cwd="/", timeout=30, check=False)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def _answered(house: House, *steps: Step, prompt: str) -> str:
    command = await house.ask(script(prompt, *steps))
    assert await house.ended(command) == "✅"
    return await house.answer(command)


@pytest.mark.usefixtures("cli")
@pytest.mark.long
async def test_what_the_agent_says_of_a_secret_is_a_mark(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, environ={"ANTHROPIC_API_KEY": KEY}, room={"allow": ["Bash"]}) as house:
        token = house.account.access_token
        said = f"The key is {KEY}, and the token `{token}` **too**."
        shown = await _answered(house, Step(text=said, chunk=7), prompt="say it")
        tool = await _answered(
            house, Step(tool="Bash", input={"command": f"echo {KEY}"}), Step(text="Done."), prompt="use it"
        )
        await house.ask(f"/{token}")
        await house.ask(f"/status {KEY}")
        await house.anna.until_message(house.room, "[redacted: MATRIX_ACCESS_TOKEN]")

        assert "The key is [redacted: ANTHROPIC_API_KEY], and the token `[redacted: MATRIX_ACCESS_TOKEN]`" in shown
        assert "echo [redacted: ANTHROPIC_API_KEY]" in tool
        ours = [event for event in house.anna.events(house.room) if event["sender"] == house.account.user_id]
        assert ours
        for secret in (KEY, token):
            assert secret not in str(ours)
    assert KEY not in house.daemon.log.read_text()
    assert token not in house.daemon.log.read_text()


@pytest.mark.usefixtures("cli")
async def test_no_argument_and_no_file_of_a_running_daemon_holds_a_secret(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, environ={"ANTHROPIC_API_KEY": KEY}) as house:
        await _answered(house, Step(text="Hello."), prompt="hello")  # its process is warm now
        arguments = _arguments()
        files = _files(house.daemon.data_dir)

        assert any(str(house.daemon.config) in line for line in arguments)
        assert any("claude" in line and "stream-json" in line for line in arguments)
        assert [line for line in arguments if KEY in line or house.account.access_token in line] == []
        assert files.keys() >= {"aiagentchat.db", KEY_FILE}
        for secret in (KEY, house.account.access_token):
            assert [name for name, content in files.items() if secret.encode() in content] == []


@pytest.mark.usefixtures("cli")
@pytest.mark.long
async def test_another_process_of_its_user_cannot_look_into_the_daemon(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        looked = await asyncio.to_thread(_look_into, house.daemon.pid)

    assert looked.stdout == b""
    assert looked.stderr.count(b"ermission denied") == 4
