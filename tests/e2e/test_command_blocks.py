"""The commands of the how-to guides and of the reference, typed as they stand there, beside a daemon that runs."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rig.claude import cli_binary
from rig.daemon import Daemon
from rig.gateway import free_port
from rig.homeserver import PASSWORD, Account, Homeserver
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import people as invite_people
from rig.script import Step, script
from rig.unprivileged import own
from tests.docs.command_blocks import ROOT, Shell, of_scene

BLOCKS = of_scene("house")
TOOLS = ("curl", "git", "jq", "timeout")
CTRL_C = 130
NEW_PASSWORD = "a new password"
ON_ANY_MACHINE = ("cchat login", "--transport http")

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600)]


def put_program(folder: Path, name: str, text: str) -> None:
    """A script that is found before what the machine has."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def furnish(home: Path) -> Path:
    """What the pages take for granted: programs, a repository somewhere; the log where they look for it."""
    programs = home / "bin"
    # /var/backups is there on any machine, /var/lib/aiagentchat/backups after deploy.sh (tests/ship/deploy.bats).
    for folder in ("bin", "backups", "elsewhere", "etc/secrets"):
        (home / folder).mkdir(parents=True)
    aiagentchat = f'{sys.executable} -m aiagentchat "$@"'
    follow = f"timeout --signal INT --preserve-status 3 {aiagentchat} || [ $? = {CTRL_C} ]"
    put_program(programs, "aiagentchat", f'case " $* " in *" --follow "*) {follow}; exit;; esac\nexec {aiagentchat}')
    cchat = f'{sys.executable} -m aiagentchat.cli.cchat "$@"'
    watch = f"timeout --signal INT --preserve-status 3 {cchat} || [ $? = {CTRL_C} ]"
    put_program(programs, "cchat", f'case "$1" in watch) {watch}; exit;; esac\nexec {cchat}')
    put_program(programs, "claude", f'exec {cli_binary()} "$@"')
    for keeper in ("journalctl", "docker"):
        put_program(programs, keeper, f"exec cat {home}/daemon.log")
    (home / ".curlrc").write_text("fail-with-body\n")
    (home / "secrets").mkdir(mode=0o700)
    (home / "secrets/ANTHROPIC_API_KEY").touch(mode=0o600)
    (home / "secrets/ANTHROPIC_API_KEY").write_text("sk-ant-offline")
    for words in (["--bare", home / "backend.git"], [home], [home / "elsewhere"]):
        subprocess.run(["git", "init", "--quiet", *words], check=True)
    own(home)
    return programs


def own_names(home: Path, homeserver: Homeserver, account: Account, anna: MatrixUser, port: int) -> dict[str, str]:
    """What stands on the pages for what is everybody's own, and what it is here."""
    return {
        "https://matrix.example.org": homeserver.url,
        "http://127.0.0.1:8870": f"http://127.0.0.1:{port}",
        "https://git.example.org": str(home),
        "@claude:example.org": account.user_id,
        "@agent:example.org": account.user_id,
        "#backend:example.org": "#backend:localhost",
        "--user anna": f"--user {anna.id}",
        "/run/secrets/ci": f"{home}/data/gateway/callers/ci.token",
        "cp -r deploy/": f"cp -r {ROOT}/deploy/",
        "/var/backups/": f"{home}/backups/",
        "/var/lib/aiagentchat/": f"{home}/",
        "/etc/aiagentchat/": f"{home}/etc/",
        "/root/": f"{home}/",
    }


def own_variables(home: Path, homeserver: Homeserver, anna: MatrixUser) -> dict[str, str]:
    """Those that the pages take for set."""
    return {
        "ADMIN_TOKEN": homeserver.register("boss", admin=True).access_token,
        "TOKEN": anna.account.access_token,
        "NEW": NEW_PASSWORD,
        "BUILD": "1204",
        "BUILD_ID": "1205",
        "CLAUDE_CONFIG_DIR": f"{home}/.claude",
    }


def daemon_of_the_pages(home: Path, url: str, account: Account, room: str, user: str, model: Model) -> Daemon:
    """One with a password, a gateway with the caller `ci`, and its key in a file."""
    callers = {"ci": {"send": ["backend"], "run": ["backend"]}}
    daemon = Daemon(
        home,
        url,
        account,
        [{"id": room, "name": "backend"}],
        model_url=model.url,
        users=[user],
        environ={"MATRIX_PASSWORD": account.password},
        registry={"instance": "workshop"},
        gateway={"enabled": True, "port": free_port(), "callers": callers},
    )
    for name in ("MATRIX_ACCESS_TOKEN", "ANTHROPIC_API_KEY"):
        del daemon.environ[name]
    return daemon


async def type_all(daemon: Daemon, shell: Shell, elsewhere: Shell, ask: Callable[[str], Awaitable[str]]) -> list[str]:
    """Type every block. Somebody asks the agent before the page that looks for a message. What was printed."""
    printed = []
    asked = ""
    for number, block in enumerate(BLOCKS):
        if block.page != BLOCKS[number - 1].page or block.is_in_a_new_terminal:
            shell.forget()
        if "$Zk3…" in block.text and not asked:
            asked = await ask("It is green.")
            shell.instead["$Zk3…"] = asked
        if any(each in block.text for each in ON_ANY_MACHINE):  # so not where the daemon's settings are
            done = await asyncio.to_thread(elsewhere.run, block, typed=f"{PASSWORD}\n")
        else:
            done = await asyncio.to_thread(shell.run, block, typed="typed\n")
        printed.append(done.stdout)
        if "aiagentchat drain" in block.text:
            await daemon.wait()
            seen = len(daemon.lines())
            await daemon.start(until="sync.resumed")
            await daemon.until_line("gateway.open", skip=seen)
    return printed


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}")
async def test_every_command_does_what_its_page_says(model: Model, workplace: Path, tmp_path: Path) -> None:
    """On a homeserver of its own, whose admin may do what the pages ask an admin to do."""
    with Homeserver(tmp_path / "homeserver") as homeserver:
        async with invite_people(homeserver) as people:
            account, anna = people.account(), await people.person()
            room = await people.room(anna, account, alias="backend")
            daemon = daemon_of_the_pages(workplace, homeserver.url, account, room, anna.id, model)
            programs, port = furnish(workplace), daemon.settings["gateway"]["port"]
            environ = {
                **daemon.environ,
                **own_variables(workplace, homeserver, anna),
                "PATH": os.pathsep.join([str(programs), daemon.environ["PATH"], "/usr/sbin"]),
            }
            instead = own_names(workplace, homeserver, account, anna, port)
            shell, elsewhere = (Shell(folder, environ, instead) for folder in (workplace, workplace / "elsewhere"))

            async def ask(answer: str) -> str:
                event = await anna.send(room, script(f"{answer} {port}", Step(text=answer)))
                await anna.until_message(room, answer, sender=account.user_id)
                return event

            async with daemon:
                await daemon.until_line("gateway.open")
                printed = await type_all(daemon, shell, elsewhere, ask)
                await ask("It is still green.")
                keys = {request.headers.get("x-api-key") for request in model.requests(f"It is still green. {port}")}

            assert keys == {"typed"}
            assert sum('"answered"' in text for text in printed) == 1
            await anna.until_message(room, "Build 1204 is", sender=account.user_id)
            assert homeserver.login(account.user_id[1:].partition(":")[0], NEW_PASSWORD).user_id == account.user_id
    judge_files(workplace)


def judge_files(home: Path) -> None:
    """What the commands have left."""
    assert (home / "rooms/backend/.git").is_dir()
    assert [file.suffix for file in (home / "backups").iterdir()] == [".db"]
    assert (home / "etc/secrets/MATRIX_PASSWORD").read_text() == "typed\n"
    assert (home / "aiagentchat-recovery.key").read_text().startswith("Es")
    assert (home / ".claude/skills/cchat/SKILL.md").is_file()
