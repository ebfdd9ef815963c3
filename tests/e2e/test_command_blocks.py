"""The commands of the how-to guides and of the reference, typed as they stand there, beside a daemon that runs."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.gateway import free_port
from rig.homeserver import Homeserver
from rig.model import Model
from rig.people import people as invite_people
from rig.script import Step, script
from rig.unprivileged import own
from tests.docs.command_blocks import Shell, of_scene

BLOCKS = of_scene("house")
TOOLS = ("curl", "git", "jq", "timeout")
CTRL_C = 130

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600)]


def put_program(folder: Path, name: str, text: str) -> None:
    """A script that is found before what the machine has."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def furnish(home: Path) -> Path:
    """What the pages take for granted: programs, a repository somewhere; the log where they look for it."""
    programs = home / "bin"
    for folder in ("bin", "backups", "etc/secrets"):
        (home / folder).mkdir(parents=True)
    aiagentchat = f'{sys.executable} -m aiagentchat "$@"'
    follow = f"timeout --signal INT --preserve-status 3 {aiagentchat} || [ $? = {CTRL_C} ]"
    put_program(programs, "aiagentchat", f'case " $* " in *" --follow "*) {follow}; exit;; esac\nexec {aiagentchat}')
    for keeper in ("journalctl", "docker"):
        put_program(programs, keeper, f"exec cat {home}/daemon.log")
    (home / ".curlrc").write_text("fail-with-body\n")
    (home / "secrets").mkdir(mode=0o700)
    (home / "secrets/ANTHROPIC_API_KEY").touch(mode=0o600)
    (home / "secrets/ANTHROPIC_API_KEY").write_text("sk-ant-offline")
    subprocess.run(["git", "init", "--quiet", "--bare", home / "backend.git"], check=True)
    own(home)
    return programs


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}")
async def test_every_command_does_what_its_page_says(model: Model, workplace: Path, tmp_path: Path) -> None:
    """On a homeserver of its own, whose admin may do what the pages ask an admin to do."""
    with Homeserver(tmp_path / "homeserver") as homeserver:
        async with invite_people(homeserver) as people:
            account, anna = people.account(), await people.person()
            room = await people.room(anna, account)
            port = free_port()
            daemon = Daemon(
                workplace,
                homeserver.url,
                account,
                [{"id": room, "name": "backend"}],
                model_url=model.url,
                users=[anna.id],
                environ={"MATRIX_PASSWORD": account.password},
                gateway={"enabled": True, "port": port, "callers": {"ci": {"send": ["backend"], "run": ["backend"]}}},
            )
            for name in ("MATRIX_ACCESS_TOKEN", "ANTHROPIC_API_KEY"):
                del daemon.environ[name]
            programs = furnish(workplace)
            instead = {
                "https://matrix.example.org": homeserver.url,
                "http://127.0.0.1:8870": f"http://127.0.0.1:{port}",
                "https://git.example.org": str(workplace),
                "@claude:example.org": account.user_id,
                "/var/backups/": f"{workplace}/backups/",
                "/var/lib/aiagentchat/": f"{workplace}/",
                "/etc/aiagentchat/": f"{workplace}/etc/",
                "/root/": f"{workplace}/",
            }
            environ = {
                **daemon.environ,
                "PATH": os.pathsep.join([str(programs), daemon.environ["PATH"], "/usr/sbin"]),
                "ADMIN_TOKEN": homeserver.register("boss", admin=True).access_token,
                "TOKEN": anna.account.access_token,
                "NEW": "a new password",
                "BUILD": "1204",
            }
            shell = Shell(workplace, environ, instead)
            said: dict[str, str] = {}
            async with daemon:
                await daemon.until_line("gateway.open")
                for number, block in enumerate(BLOCKS):
                    if block.page != BLOCKS[number - 1].page:
                        shell.forget()
                    if "$Zk3…" in block.text and "$Zk3…" not in instead:  # somebody has asked meanwhile
                        instead["$Zk3…"] = await anna.send(room, script("say it", Step(text="It is green.")))
                        await anna.until_message(room, "It is green.", sender=account.user_id)
                    done = await asyncio.to_thread(shell.run, block, typed="typed\n")
                    said[block.commands[0]] = done.stdout
                    if "aiagentchat drain" in block.text:
                        await daemon.wait()
                        await daemon.start(until="sync.resumed")
                        await daemon.until_line("gateway.open")

                question = script(f"who asks {port}", Step(text="It is still green."))
                await anna.send(room, question)
                await anna.until_message(room, "It is still green.", sender=account.user_id)
                keys = {request.headers.get("x-api-key") for request in model.requests(f"who asks {port}")}

            assert keys == {"typed"}
            answers = [text for text in said.values() if '"answered"' in text]
            assert len(answers) == 1
            await anna.until_message(room, "Build 1204 is", sender=account.user_id)
            assert (workplace / "rooms/backend/.git").is_dir()
            assert [file.suffix for file in (workplace / "backups").iterdir()] == [".db"]
            assert (workplace / "etc/secrets/MATRIX_PASSWORD").read_text() == "typed\n"
            assert (workplace / "aiagentchat-recovery.key").read_text().startswith("Es")
            assert homeserver.login(account.user_id[1:].partition(":")[0], "a new password").user_id == account.user_id
