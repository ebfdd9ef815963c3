"""What is typed as somebody whom the daemon's folder is closed to: nobody takes what he cannot see for what is not."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiagentchat.app.owner import LOCK, own, owner_pid, see_into
from aiagentchat.config.secrets import closed_folder
from aiagentchat.core.effects import MakeRoom
from aiagentchat.core.errors import AppError
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.rooms import MadeRoom
from rig.setup import ROOT
from rig.unprivileged import as_unprivileged, clean_env
from rig.unprivileged import own as give_away
from tests.contract.store_fixtures import settle
from tests.fakes.ledgers import fresh_ledger
from tests.unit.test_app_live import GOOD

COMMANDS = [
    ["audit"],
    ["bootstrap", "--dry-run"],
    ["db", "backup", "copy.db"],
    ["db", "check"],
    ["db", "vacuum"],
    ["drain"],
    ["healthcheck"],
    ["healthcheck", "--ready"],
    ["keys", "status"],
    ["reload"],
    ["rooms"],
    ["rooms", "remove", "first"],
    ["why", "$abc"],
]
"""Each that looks into the folder. `doctor` has rows of its own, and `run` makes it."""
TYPE = """
import json, sys
from typer.testing import CliRunner
from aiagentchat.cli.main import app

told = [CliRunner().invoke(app, [*words, "--config", sys.argv[1]]) for words in json.loads(sys.argv[2])]
print(json.dumps([[each.exit_code, each.output] for each in told]))
"""
OWN = """
import pathlib, sys
from aiagentchat.app.owner import own

with own(pathlib.Path(sys.argv[1])):
    pass
"""


def test_every_command_says_whose_the_folder_is_and_none_that_nothing_is_there(workplace: Path) -> None:
    config, data = workplace / "config.yaml", workplace / "data"
    config.write_text(GOOD)
    config.chmod(0o644)
    with own(data):  # a daemon runs
        data.chmod(0)
        done = subprocess.run(
            [*as_unprivileged(), sys.executable, "-c", TYPE, str(config), json.dumps(COMMANDS)],
            check=False,
            capture_output=True,
            text=True,
            env=clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"),
            cwd=workplace,
            timeout=60,
        )
        data.chmod(0o700)
    told = dict(zip(map(" ".join, COMMANDS), json.loads(done.stdout), strict=True))

    assert {name: code for name, (code, _) in told.items()} == dict.fromkeys(told, 1)
    assert [name for name, (_, said) in told.items() if "is closed to uid" not in said or "sudo -u" not in said] == []


def test_secrets_that_systemd_alone_gives_are_not_said_to_be_missing(workplace: Path) -> None:
    config, secrets = workplace / "config.yaml", workplace / "secrets"
    config.write_text(GOOD)
    secrets.mkdir()
    (secrets / "ANTHROPIC_API_KEY").write_text("sk-ant-api03-x")
    secrets.chmod(0)
    os.chown(secrets, os.geteuid(), os.getegid())
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "check", "--config", str(config)]
    env = clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=env, timeout=60)
    secrets.chmod(0o700)

    assert f"# {secrets} is closed to this user" in done.stdout
    assert closed_folder(config) is None


def test_settings_that_only_another_user_may_read_are_told_as_that(workplace: Path) -> None:
    config = workplace / "config.yaml"
    config.write_text(GOOD)
    config.chmod(0)
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "check", "--config", str(config)]
    env = clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env, timeout=60)

    assert done.returncode == 2
    assert f"{config}: only another user may read this file; ask as that one (sudo -u USER …)\n" in done.stderr


def type_as_another(config: Path, *commands: list[str]) -> list[tuple[int, str]]:
    """What each says to somebody who owns nothing of it."""
    done = subprocess.run(
        [*as_unprivileged(), sys.executable, "-c", TYPE, str(config), json.dumps(commands)],
        check=False,
        capture_output=True,
        text=True,
        env=clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"),
        cwd="/",
        timeout=60,
    )
    return [(code, said) for code, said in json.loads(done.stdout)]


def test_a_lock_that_root_has_left_is_named_and_nothing_is_done(workplace: Path) -> None:
    config, data = workplace / "config.yaml", workplace / "data"
    config.write_text(GOOD)
    config.chmod(0o644)
    data.mkdir(mode=0o700)
    asyncio.run(_make_room(data / "aiagentchat.db"))
    give_away(data)
    (data / LOCK).touch()
    (data / LOCK).chmod(0)
    mend = f"chown --reference={data} {data / LOCK}"
    told = type_as_another(config, ["why", "$abc"], ["rooms", "remove", "tea"], ["healthcheck"], ["rooms"])
    started = subprocess.run(
        [*as_unprivileged(), sys.executable, "-c", OWN, str(data)],
        check=False,
        capture_output=True,
        text=True,
        env=clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"),
        timeout=60,
    )

    assert [(code, mend in said, "Nothing was changed" in said) for code, said in told[:3]] == [(1, True, True)] * 3
    assert (told[3][0], "tea" in told[3][1]) == (0, True)
    assert mend in started.stderr


async def _make_room(path: Path) -> None:
    async with fresh_ledger(path) as ledger:
        tea = MadeRoom(room=RoomId("!tea:localhost"), folder="tea", by=UserId("@you:localhost"), at=1)
        await settle(ledger, MakeRoom(tea, EventId("$x")), event="$make-tea")
        await ledger.rooms.made()


def test_bootstrap_needs_whoever_may_open_the_secrets(workplace: Path) -> None:
    config, secrets = workplace / "config.yaml", workplace / "secrets"
    config.write_text(GOOD)
    config.chmod(0o644)
    secrets.mkdir(mode=0o700)
    secrets.chmod(0)
    os.chown(secrets, os.geteuid(), os.getegid())
    [(code, said), (dry, also_said)] = type_as_another(config, ["bootstrap"], ["bootstrap", "--dry-run"])

    assert (code, dry) == (1, 1)
    assert f"{secrets} is closed to uid" in said
    assert "passwords are read and written there: do this as root, with sudo -u root in front of it" in said
    assert also_said == said


def test_bootstrap_with_settings_in_a_closed_folder_says_that_of_them(workplace: Path) -> None:
    config, etc = workplace / "etc" / "config.yaml", workplace / "etc"
    (etc / "secrets").mkdir(parents=True)
    config.write_text(GOOD)
    etc.chmod(0)
    [(code, said)] = type_as_another(config, ["bootstrap"])
    etc.chmod(0o700)

    assert (code, "ask as that one (sudo -u USER …)" in said) == (2, True)


def test_the_settings_of_a_homeserver_that_another_user_owns_are_told_as_that(workplace: Path) -> None:
    there = workplace / "synapse" / "homeserver.yaml"
    there.parent.mkdir(mode=0o755)
    there.write_text("server_name: hs\n")
    there.chmod(0)
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "bootstrap", "synapse-config"]
    argv += ["--server-name", "hs", "--out", str(there.parent)]
    env = clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env, timeout=60)

    assert done.returncode == 2
    assert f"{there}: the file cannot be read: Permission denied; do this as its owner, or root\n" in done.stderr


def test_what_is_not_there_yet_is_closed_to_nobody(tmp_path: Path) -> None:
    see_into(tmp_path / "nowhere")
    see_into(tmp_path)

    assert owner_pid(tmp_path) is None


def test_a_folder_of_nobody_who_has_a_name_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("pwd.getpwuid", unknown)

    with pytest.raises(AppError, match=rf"sudo -u '#{tmp_path.stat().st_uid}'"):
        owner_pid(tmp_path)
    assert not (tmp_path / LOCK).exists()
