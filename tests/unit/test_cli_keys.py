"""`aiagentchat keys …` as an operator types it, without a homeserver; tests/e2e/test_recovery_keys.py has one."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.app.keys import KeyReport
from aiagentchat.app.owner import own
from aiagentchat.cli.keys import lines, to_do
from aiagentchat.cli.main import app
from tests.fakes.plain_log import plain_log
from tests.unit.test_app_live import GOOD

WELL = KeyReport(
    user="@claude:hs",
    device="D1",
    seeds=True,
    trouble="",
    identity="ours",
    signed=True,
    secret_storage=True,
    backup="3",
    backup_sessions=12,
    daemon=None,
)


@pytest.fixture(autouse=True)
def said_by_nobody_else() -> Iterator[None]:
    """The command silences the log of this process."""
    before = logging.getLogger().handlers
    yield
    plain_log()
    logging.getLogger().handlers = before


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a daemon that has never run."""
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    (tmp_path / "data").mkdir()
    return file


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words, "--config", str(config)])


@pytest.mark.parametrize("words", [["keys"], ["keys", "--help"]])
def test_help_shows_what_there_is_with_examples(words: list[str]) -> None:
    shown = CliRunner().invoke(app, words).output

    assert all(word in shown for word in ("status", "export", "restore", "Examples"))


@pytest.mark.parametrize("name", ["status", "export", "restore"])
def test_every_command_shows_an_example_and_its_exit_codes(name: str) -> None:
    shown = " ".join(CliRunner().invoke(app, ["keys", name, "--help"]).output.split())

    assert f"aiagentchat keys {name}" in shown
    assert "Exit codes" in shown


@pytest.mark.parametrize("words", [["status"], ["export", "key"], ["restore"]])
def test_settings_that_are_wrong_are_said_first(tmp_path: Path, words: list[str]) -> None:
    assert _run(tmp_path / "none.yaml", *words).exit_code == 2


@pytest.mark.parametrize("words", [["export", "key"], ["restore", "--file", "key"]])
def test_what_changes_keys_waits_for_the_end_of_the_daemon(
    config: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    with own(config.parent / "data"):
        shown = _run(config, *words)

    assert shown.exit_code == 4
    assert f"the daemon (pid {os.getpid()}) uses" in shown.stderr
    assert not (config.parent / "key").exists()


@pytest.mark.parametrize("words", [[], ["key", "--show"]])
def test_a_recovery_key_goes_to_one_place(config: Path, words: list[str]) -> None:
    shown = _run(config, "export", *words)

    assert shown.exit_code == 2
    assert "one of the two" in shown.stderr


def test_no_file_is_overwritten(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("mine")
    shown = _run(config, "export", str(file))

    assert shown.exit_code == 2
    assert file.read_text() == "mine"


def test_before_the_first_login_there_is_nothing_to_look_at(config: Path) -> None:
    shown = _run(config, "status")

    assert shown.exit_code == 3
    assert "start the daemon once" in shown.stderr


def test_without_a_login_nothing_is_exported(config: Path, tmp_path: Path) -> None:
    assert _run(config, "export", str(tmp_path / "key")).exit_code == 3
    assert not (tmp_path / "key").exists()


def test_all_that_is_well_is_said_in_a_few_lines() -> None:
    said = lines(WELL)

    assert said == [
        "@claude:hs, device D1",
        "identity: the one whose keys are here",
        "its keys: here, sealed",
        "this device: signed",
        "recovery: there is a recovery key",
        "backup of room keys: version 3, 12 room keys",
        "daemon: does not run",
    ]
    assert WELL.is_well
    assert json.loads(json.dumps(WELL.values()))["signed"] is True


@pytest.mark.parametrize(
    ("report", "next_"),
    [
        (replace(WELL, seeds=False, identity="foreign", signed=False), "keys restore"),
        (replace(WELL, seeds=False, identity="foreign", trouble="the key is gone"), "Put the store key back"),
        (replace(WELL, seeds=False, identity="foreign", secret_storage=False), "Set up recovery in a client"),
        (replace(WELL, signed=False), "Restart the daemon"),
        (replace(WELL, signed=False, identity="none", seeds=False), "Restart the daemon"),
        (replace(WELL, secret_storage=False), "keys export"),
    ],
)
def test_what_comes_next_is_said(report: KeyReport, next_: str) -> None:
    assert next_ in (to_do(report) or "")
    assert lines(report)[-1] == f"→ {to_do(report)}"


def test_a_device_that_is_not_signed_is_said_with_what_that_means() -> None:
    said = "\n".join(lines(replace(WELL, signed=False, backup="", device="", daemon=7)))

    assert "not signed. Until this device is signed, people whose clients exclude insecure devices" in said
    assert "daemon: runs, pid 7" in said
    assert not replace(WELL, signed=False).is_well
