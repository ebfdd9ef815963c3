"""What the image does in a container as Docker starts it, and with what the daemon asks for.

Left out without AIAGENTCHAT_TEST_IMAGE, so in `make test`: `make image-test` says what it needs.
"""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.errors import IsolationRefused
from rig.container import IMAGE, PODMANS_PROFILE, Container, as_compose_has_it, as_docker_has_it
from rig.homeserver import Account
from rig.image import WITHOUT_CLI
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.setup import ROOT, run_installer

pytestmark = [
    pytest.mark.ship,
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IMAGE or shutil.which("podman") is None, reason="AIAGENTCHAT_TEST_IMAGE names no image"),
]

HARDENED = ["--cap-drop=all", "--security-opt=no-new-privileges", "--read-only", "--tmpfs=/tmp"]
"""As docs/how-to/deploy.md starts it."""
ELSEWHERE = {
    "matrix": {"homeserver": "http://127.0.0.1:9", "user_id": "@claude:localhost"},
    "defaults": {"users": ["@you:localhost"]},
    "rooms": [{"id": "!abc:localhost", "name": "first"}],
}
SECRETS = {"MATRIX_ACCESS_TOKEN": "nobody's", "ANTHROPIC_API_KEY": "sk-ant-offline"}
STATES = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        stat = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        words = open(f"/proc/{pid}/cmdline").read().split(chr(0))
    except OSError:
        continue
    print(pid, stat[0], stat[1], *words[:2])
"""


class Story:
    """A daemon in a container, somebody who talks to it, and a room."""

    def __init__(self, container: Container, anna: MatrixUser, account: Account, room: str) -> None:
        self.container, self.anna, self.account, self.room = container, anna, account, room

    async def ask(self, *steps: Step) -> str:
        """Have the agent do this; the reaction at the end."""
        asked = await self.anna.send(self.room, script("do it", *steps))

        def mark() -> str:
            reactions = self.anna.reactions(self.room, asked)
            return next((key for key in ("✅", "❌") if self.account.user_id in reactions.get(key, ())), "")

        return await self.anna.until(mark, timeout=90, what="the end of the turn")

    async def shell(self, command: str) -> str:
        """Have the agent run a shell command; the reaction at the end."""
        return await self.ask(Step(tool="Bash", input={"command": command}), Step(text="Done."))


Tell = Callable[..., AbstractAsyncContextManager[Story]]


@pytest.fixture
def tell(people: People, model: Model, tmp_path: Path) -> Tell:
    """Begin a story: with these options for the container, and these settings."""

    @asynccontextmanager
    async def begin(*options: str, image: str = IMAGE, **settings: Any) -> AsyncIterator[Story]:
        anna = await people.person()
        account = people.account()
        room = await people.room(anna, account)
        settings |= {
            "matrix": {"homeserver": people.homeserver.url, "user_id": account.user_id},
            "defaults": {"users": [anna.id]},
            "rooms": [{"id": room, "name": "first", "allow": ["Bash"]}],
        }
        environ = {
            "MATRIX_ACCESS_TOKEN": account.access_token,
            "ANTHROPIC_API_KEY": "sk-ant-offline",
            "ANTHROPIC_BASE_URL": model.url,
        }
        container = Container(tmp_path / "config", settings, environ, options, image)
        try:
            words = ["run", "--config", "/config/config.yaml"] if "--entrypoint=aiagentchat" in options else []
            await container.start(*words)
            await container.until("sync.first")
            yield Story(container, anna, account, room)
        finally:
            await container.remove()

    return begin


def options_named_in(refusal: str) -> list[str]:
    """Those of the line that says how to start the container."""
    line = re.search(r"start the container with (.*)$", refusal, re.MULTILINE)
    assert line, refusal
    return line[1].split()


async def refusal(folder: Path, *options: str) -> str:
    """What the image says when it is started like this."""
    ended = await Container(folder / "config", ELSEWHERE, SECRETS, options).run()
    assert ended.returncode == IsolationRefused.exit_code, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("hardened", [[], HARDENED], ids=["no option", "as the page says"])
async def test_as_it_comes_it_refuses_and_names_the_options(tmp_path: Path, hardened: list[str]) -> None:
    said = await refusal(tmp_path, *as_docker_has_it(tmp_path), *hardened)

    assert "bwrap: No permissions to create new namespace" in said
    assert options_named_in(said) == ["--security-opt", "seccomp=unconfined", "--security-opt", "unmask=ALL"]
    assert "isolation_minimum: users" in said


async def test_one_option_alone_is_not_enough_and_it_says_so(tmp_path: Path) -> None:
    said = await refusal(tmp_path, "--security-opt=seccomp=unconfined")

    assert "Can't mount proc" in said
    assert "unmask=ALL" in said


async def test_capabilities_that_were_added_are_named(tmp_path: Path) -> None:
    options = ["--security-opt=seccomp=unconfined", "--security-opt=unmask=ALL", "--cap-add=CHOWN"]

    assert "no --cap-add" in await refusal(tmp_path, *options)


@pytest.mark.parametrize("hardened", [[], HARDENED], ids=["no other option", "as the page says"])
async def test_with_the_options_that_it_names_a_turn_is_held_in_strict(
    tmp_path: Path, tell: Tell, hardened: list[str]
) -> None:
    named = options_named_in(await refusal(tmp_path, *as_docker_has_it(tmp_path)))
    async with tell(*named, *hardened) as story:
        end = await story.shell("echo made > file; id -u > who; ls /data > seen 2>&1")
        made = await story.container.exec("sh", "-c", "cd /rooms/first && cat file who seen")
        chosen = await story.container.until("isolation.chosen")
        code = await story.container.stop()

    assert (end, chosen["isolation"], code) == ("✅", "strict", 0)
    assert made == "made\n10001\nhomes\n"


async def test_as_compose_starts_it_a_message_is_answered_in_strict_and_the_doctor_says_so(tell: Tell) -> None:
    async with tell(*as_compose_has_it()) as story:
        end = await story.ask(Step(text="Good morning."))
        answers = [message.body for message in story.anna.view(story.room)]
        chosen = await story.container.until("isolation.chosen")
        health = await story.container.health()
        rows = {row["id"]: row for row in json.loads(await story.container.exec("aiagentchat", "doctor", "--json"))}
        told = json.loads(await story.container.exec("cchat", "status", "--json"))
        status = await story.container.exec("cat", "/proc/1/status")
        code = await story.container.stop()

    assert (told["status"], told["caller"]) == ("healthy", "operator")
    assert (end, chosen["isolation"], health, code) == ("✅", "strict", (0, ""), 0)
    assert any("Good morning." in answer for answer in answers)
    assert (rows["isolation.chosen"]["verdict"], rows["isolation.strict"]["verdict"]) == ("ok", "ok")
    assert "strict" in rows["isolation.chosen"]["detail"]
    assert [row for row in rows.values() if row["verdict"] == "fail"] == []
    assert re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s*(\w+)", status, re.MULTILINE) == [
        ("Uid", "10001"), ("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000"), ("NoNewPrivs", "1"),
    ]  # fmt: skip


async def test_a_daemon_that_is_stuck_is_not_healthy_and_one_that_goes_on_is(tell: Tell) -> None:
    async with tell(*as_compose_has_it()) as story:
        pid = (await story.container.until("daemon.starting"))["pid"]
        await story.container.until("gateway.open")
        await story.container.signal("STOP", pid)
        stuck = await story.container.health()
        await story.container.signal("CONT", pid)
        well = await story.container.health()

    assert stuck[0] == 1
    assert "does not answer" in stuck[1]
    assert well == (0, "")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel that has the Claude Code program in it; nothing else is asked for it then."""
    folder = tmp_path_factory.mktemp("wheels")
    flags = [
        "--no-deps",
        "--require-hashes",
        "--requirement",
        str(ROOT / "requirements-cli.txt"),
        "--dest",
        str(folder),
    ]
    run_installer([sys.executable, "-m", "pip", "download", "--quiet", *flags])
    for path in (folder, *folder.iterdir(), *list(folder.parents)[:2]):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return folder


@pytest.mark.parametrize("isolation", ["strict", "users"])
async def test_an_image_without_the_program_fetches_it_where_it_may_and_answers(
    tmp_path: Path, tell: Tell, wheels: Path, isolation: str
) -> None:
    fetching = ["--env=AIAGENTCHAT_FETCH_CLI=1", "--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/wheels"]
    held = as_compose_has_it() if isolation == "strict" else as_docker_has_it(tmp_path, root=True)
    options = [*held, *fetching, f"--volume={wheels}:/wheels:ro"]
    async with tell(*options, image=WITHOUT_CLI, isolation_minimum=isolation) as story:
        told = await story.container.until("agent.fetching")
        fetched = await story.container.until("agent.fetched")
        end = await story.shell("echo more >> $(find /data/cli -name claude) 2>&1; find /data/cli -writable > seen")
        writable = await story.container.exec("cat", "/rooms/first/seen")
        chosen = await story.container.until("isolation.chosen")

    assert "Commercial Terms" in told["licence"]
    assert fetched["path"].startswith("/data/cli/")
    assert (end, chosen["isolation"]) == ("✅", isolation)
    assert writable == ""


async def test_an_image_without_the_program_fetches_nothing_unasked(tell: Tell) -> None:
    async with tell(*as_compose_has_it(), image=WITHOUT_CLI) as story:
        lacking = await story.container.until("agent.unavailable")
        events = [line["event"] for line in await story.container.log()]
        end = await story.ask(Step(text="Good morning."))

    assert "aiagentchat fetch-cli" in lacking["error"]
    assert "agent.fetching" not in events
    assert end == "❌"


async def test_where_less_is_accepted_an_ordinary_user_gets_landlock(tmp_path: Path, tell: Tell) -> None:
    async with tell(*as_docker_has_it(tmp_path), *HARDENED, isolation_minimum="landlock") as story:
        end = await story.shell("echo made > file; ls /data > seen 2>&1")
        made = await story.container.exec("sh", "-c", "cd /rooms/first && cat file seen")
        chosen = await story.container.until("isolation.chosen")

    assert (end, chosen["isolation"]) == ("✅", "landlock")
    assert made.startswith("made\n")
    assert "Permission denied" in made


async def test_podmans_own_filter_lacks_one_call_for_strict(tmp_path: Path) -> None:
    profile = json.loads(PODMANS_PROFILE.read_text("utf-8"))
    profile["syscalls"].append({"names": ["sethostname"], "action": "SCMP_ACT_ALLOW"})
    (tmp_path / "podman.json").write_text(json.dumps(profile), "utf-8")
    said = await refusal(tmp_path, "--security-opt=unmask=ALL", *HARDENED)
    with_it = [f"--security-opt=seccomp={tmp_path}/podman.json", "--security-opt=unmask=ALL", *HARDENED]
    ended = await Container(tmp_path / "config", ELSEWHERE, SECRETS, with_it).run(
        "doctor", "--config", "/config/config.yaml", "--only", "attacks", "--json"
    )

    assert "Can't set hostname" in said
    assert ended.returncode == 0


@pytest.mark.parametrize("more", [[], ["--security-opt=no-new-privileges"]], ids=["as it comes", "no new privileges"])
async def test_as_the_containers_root_a_turn_is_held_in_users(tmp_path: Path, tell: Tell, more: list[str]) -> None:
    options = [*as_docker_has_it(tmp_path, root=True), *more]
    async with tell(*options, isolation_minimum="users") as story:
        end = await story.shell("echo made > file; id -u > who; ls /data > seen 2>&1")
        made = await story.container.exec("sh", "-c", "cd /rooms/first && cat file who")
        seen = await story.container.exec("cat", "/rooms/first/seen")
        chosen = await story.container.until("isolation.chosen")
        code = await story.container.stop()

    assert (end, chosen["isolation"], code) == ("✅", "users", 0)
    assert made == "made\n200000\n"
    assert "Permission denied" in seen


async def test_root_without_its_powers_is_told_which_it_needs(tmp_path: Path) -> None:
    options = [word for word in as_docker_has_it(tmp_path, root=True) if not word.endswith(("SETUID", "SETGID"))]
    ended = await Container(tmp_path / "config", {**ELSEWHERE, "isolation_minimum": "users"}, SECRETS, options).run()

    assert ended.returncode == IsolationRefused.exit_code, ended.stderr
    assert "SETGID and SETUID" in ended.stderr


@pytest.mark.parametrize("root", [False, True], ids=["strict", "users"])
async def test_no_attack_gets_through(tmp_path: Path, root: bool) -> None:
    options = as_docker_has_it(tmp_path, root=True) if root else ["--security-opt=seccomp=unconfined", *HARDENED]
    options += [] if root else ["--security-opt=unmask=ALL"]
    settings = {**ELSEWHERE, "isolation_minimum": "users" if root else "strict"}
    container = Container(tmp_path / "config", settings, SECRETS, options)
    ended = await container.run("doctor", "--config", "/config/config.yaml", "--only", "attacks", "--json")
    rows = json.loads(ended.stdout)

    assert ended.returncode == 0
    assert [row for row in rows if row["verdict"] not in {"ok", "n/a"}] == []
    assert len([row for row in rows if row["verdict"] == "ok"]) > 60


async def test_as_process_1_it_ends_and_reaps_whatever_comes_to_it(tell: Tell) -> None:
    orphans = "for n in 1 2 3 4 5 6 7 8 9; do (sleep 300 & setsid sleep 300 & (exit 0) & ) ; done"
    options = ["--entrypoint=aiagentchat", "--security-opt=seccomp=unconfined", "--security-opt=unmask=ALL"]
    async with tell(*options) as story:
        first = await story.container.until("daemon.starting")
        end = await story.shell(f"{orphans}; echo made > file")
        await story.container.exec("sh", "-c", orphans)
        left = await _settled(story.container)
        code = await story.container.stop()

    assert (first["pid"], end, code) == (1, "✅", 0)
    assert left == []


async def _settled(container: Container) -> list[str]:
    """Zombies and orphans, if any are left after a while."""
    for _ in range(50):
        lines = (await container.exec("python3", "-c", STATES)).splitlines()
        left = [line for line in lines if " Z " in line or "sleep" in line]
        if not left:
            break
        await asyncio.sleep(0.1)
    return left
