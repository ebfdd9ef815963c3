"""`aiagentchat db …` as an operator types it, and the steps of the page about restoring."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.app.owner import own
from aiagentchat.cli.main import app
from aiagentchat.store.ledger import open_ledger
from tests.contract.store_fixtures import accept, command
from tests.docs.command_blocks import blocks
from tests.unit.test_app_live import GOOD

ROOT = Path(__file__).parents[2]
PAGE_BYTES = 4096


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings, and a database with one command."""
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    (tmp_path / "data").mkdir()
    asyncio.run(_accept(tmp_path / "data" / "aiagentchat.db", "$a"))
    return file


@pytest.fixture
def database(config: Path) -> Path:
    return config.parent / "data" / "aiagentchat.db"


async def _accept(path: Path, event: str) -> None:
    async with open_ledger(path) as ledger:
        await accept(ledger, command(event))


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["db", *words, "--config", str(config)])


def test_what_is_said_of_a_copy_tells_a_deployment_where_the_database_lies(config: Path, database: Path) -> None:
    script = re.search(r"sed -n '(s/\^Copied .*?)'", (ROOT / "deploy/on-host.sh").read_text("utf-8"))
    assert script
    said = _run(config, "backup", str(config.parent / "before-1.db")).stdout
    found = subprocess.run(["sed", "-n", script[1]], input=said, capture_output=True, text=True, check=True, timeout=10)

    assert found.stdout == f"{database}\n"


@pytest.mark.parametrize("words", [["db"], ["db", "--help"]])
def test_help_shows_what_there_is_with_examples(words: list[str]) -> None:
    shown = CliRunner().invoke(app, words).output

    assert all(word in shown for word in ("backup", "check", "vacuum", "Examples"))


@pytest.mark.parametrize("name", ["backup", "check", "vacuum"])
def test_every_command_shows_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, ["db", name, "--help"])

    assert shown.exit_code == 0
    assert f"aiagentchat db {name}" in " ".join(shown.output.split())


def test_a_backup_is_said_and_not_made_twice_over_the_same_file(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    first = _run(config, "backup", str(target))
    assert (first.exit_code, "read the copy through" in first.output) == (0, True)

    second = _run(config, "backup", str(target))
    assert (second.exit_code, "add --force" in second.stderr) == (1, True)
    assert _run(config, "backup", str(target), "--force").exit_code == 0


def test_a_backup_is_made_while_a_daemon_runs_and_shrinking_waits_for_its_end(config: Path, database: Path) -> None:
    with own(database.parent):
        assert _run(config, "backup", str(config.parent / "copy.db")).exit_code == 0
        assert _run(config, "check").exit_code == 0
        refused = _run(config, "vacuum")
    assert refused.exit_code == 4
    assert f"the daemon (pid {os.getpid()}) uses {database}; end it first" in refused.stderr

    shrunk = _run(config, "vacuum")
    assert shrunk.exit_code == 0
    assert re.search(r"aiagentchat\.db had \d+\.\d MB and has \d+\.\d MB\.", shrunk.output)


def test_a_sound_database_is_called_so(config: Path, database: Path) -> None:
    assert _run(config, "check").output == f"{database} is sound.\n"


def test_rows_that_do_not_fit_together_are_named(config: Path, database: Path) -> None:
    asyncio.run(_break(database))
    shown = _run(config, "check")

    assert shown.exit_code == 1
    assert "commands whose state and times do not fit together: $a" in shown.stderr
    assert "bug report" in shown.stderr


async def _break(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await ledger.housekeeping._database.run("UPDATE commands SET ended_at = 1")


@pytest.mark.parametrize("words", [["check"], ["backup", "copy.db"], ["vacuum"]])
def test_a_damaged_database_ends_with_6_and_the_way_to_restore_it(
    config: Path, database: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    _scribble(database)
    shown = _run(config, *words)

    assert shown.exit_code == 6
    assert "3. copy a backup (aiagentchat db backup makes them)" in shown.stderr


@pytest.mark.parametrize("words", [["check"], ["backup", "copy.db"], ["vacuum"]])
def test_a_database_that_is_not_there_is_a_sentence(
    config: Path, database: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    database.unlink()
    shown = _run(config, *words)

    assert shown.exit_code == 1
    assert f"There is no database at {database}" in shown.stderr


@pytest.mark.parametrize("words", [["check"], ["backup", "copy.db"], ["vacuum"]])
def test_settings_that_are_wrong_are_said_first(tmp_path: Path, words: list[str]) -> None:
    assert _run(tmp_path / "none.yaml", *words).exit_code == 2


def test_the_steps_of_the_page_restore_a_damaged_database(config: Path, database: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    assert _run(config, "backup", str(backup)).exit_code == 0
    asyncio.run(_accept(database, "$b"))
    _scribble(database)
    assert _run(config, "check").exit_code == 6

    done = _follow(_steps(DATA=database.parent, BACKUP=backup), config, tmp_path / "bin")
    assert done.stdout.splitlines() == [
        "systemctl stop aiagentchat",
        f"{database} is sound.",
        "systemctl start aiagentchat",
    ]
    assert (database.parent / "damaged" / "aiagentchat.db").exists()
    assert asyncio.run(_known(database)) == [True, False]
    assert database.stat().st_mode & 0o777 == 0o600


async def _known(path: Path) -> list[bool]:
    async with open_ledger(path) as ledger:
        return [await ledger.commands.get(command(event).event) is not None for event in ("$a", "$b")]


def _steps(**places: Path) -> str:
    """The commands under "Restore", at these places."""
    [script] = [block.text for block in blocks("docs/how-to/back-up.md") if block.text.startswith("DATA=")]
    for name, place in places.items():
        script, count = re.subn(rf"^{name}=.*$", f"{name}={place}", script, flags=re.MULTILINE)
        assert count == 1
    return script


def _follow(script: str, config: Path, programs: Path) -> "subprocess.CompletedProcess[str]":
    """In a shell that knows the commands of the page."""
    programs.mkdir()
    for name, line in (
        ("systemctl", 'echo "systemctl $@"'),
        ("aiagentchat", f'exec {sys.executable} -m aiagentchat "$@"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AIAGENTCHAT_CONFIG": str(config),
    }
    return subprocess.run(
        ["sh", "-e", "-c", script], env=env, check=True, timeout=60, stdout=subprocess.PIPE, encoding="utf-8"
    )


def _scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5 * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)
