"""`aiagentchat doctor` as an operator types it. Nobody answers at the homeserver's address here."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from aiagentchat.cli.doctor import last_lines, table, title_of
from aiagentchat.cli.main import app
from aiagentchat.doctor.rows import fail, ok, unknown
from rig.setup import ROOT
from tests.fakes.plain_log import plain_log

SETTINGS = """
matrix: {homeserver: "http://127.0.0.1:9", user_id: "@claude:localhost"}
data_dir: ./data
workspaces: ./rooms
defaults: {users: ["@you:localhost"]}
rooms:
  - {id: "!abc:localhost", name: backend}
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """Settings. The doctor silences the log; that is put back."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    file = tmp_path / "config.yaml"
    file.write_text(SETTINGS)
    yield file
    root.handlers = handlers
    plain_log()


def _run(config: Path, *words: str) -> Result:
    env = {"MATRIX_ACCESS_TOKEN": "syt_token", "ANTHROPIC_API_KEY": "sk-ant-key"}
    return CliRunner().invoke(app, ["doctor", "--config", str(config), *words], env=env)


def test_help_shows_examples_and_exit_codes() -> None:
    shown = " ".join(CliRunner().invoke(app, ["doctor", "--help"]).output.split())

    assert "aiagentchat doctor --only attacks" in shown
    assert "20 something is wrong" in shown


def test_json_is_three_keys_a_row_and_nothing_else(config: Path) -> None:
    done = _run(config, "--json", "--only", "checks")
    rows = json.loads(done.stdout)

    assert done.exit_code == 20
    assert all(row.keys() == {"id", "verdict", "detail"} for row in rows)
    by_id = {row["id"]: row["verdict"] for row in rows}
    assert (by_id["matrix.homeserver"], by_id["matrix.login"], by_id["chat.backend"]) == ("fail", "n/a", "n/a")
    assert (by_id["config.secrets"], by_id["agent.key"]) == ("ok", "ok")
    assert "isolation.chosen" in by_id
    assert not {"syt_token", "sk-ant-key"} & set(done.output.replace('"', " ").split())
    assert not (config.parent / "data").exists()


def test_only_a_part_that_there_is_can_be_asked_for(config: Path) -> None:
    done = _run(config, "--only", "teeth")

    assert done.exit_code == 2
    assert "--only: 'teeth' is no part; use one of checks, attacks" in done.stderr


def test_settings_that_are_wrong_are_a_row(config: Path) -> None:
    config.write_text(SETTINGS.replace("backend", "UPPER CASE"))
    done = _run(config, "--json")

    assert done.exit_code == 20
    [row] = json.loads(done.stdout)
    assert (row["id"], row["verdict"], "rooms[0].name" in row["detail"]) == ("config.file", "fail", True)


def test_a_table_fits_on_a_phone_and_shows_no_tricks() -> None:
    rows = [
        ok("room.read", "Stopped: Permission denied."),
        fail("net.tcp", "Under isolation users a room can reach a service on 127.0.0.1.", "Do this.\nAnd that."),
        unknown("matrix.homeserver", "It is \x1b[31m[bold]evil[/bold]."),
    ]
    console = Console(width=40, record=True, file=open("/dev/null", "w"), highlight=False)  # noqa: SIM115, PTH123
    console.print(table(rows))
    console.file.close()
    shown = console.export_text()

    assert max(map(len, shown.splitlines())) <= 40
    assert ["→ Do this." in shown, "→ And that." in shown] == [True, True]
    assert "[bold]evil" in " ".join(shown.split())
    assert "\x1b" not in shown


def test_every_row_stands_under_a_title_that_is_a_sentence_and_none_comes_twice() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8").partition("## `aiagentchat doctor`")[2]
    firsts = re.findall(r"^\| (`[^|]+`) \|", page.partition("\nExit code")[0], re.MULTILINE)
    ids = [id_ for first in firsts for id_ in re.findall(r"`([a-z]+\.[\w.]+)`", first)]
    titles = [title_of(id_) for id_ in ids]

    assert len(ids) > 15
    assert [title for title in titles if not title[0].isupper()] == []
    assert title_of("machine.gateway") != title_of("machine.daemon")


def test_the_last_lines_count() -> None:
    rows = [ok("config.file", "Well."), fail("machine.disk", "Full.", "Mend it."), ok("room.read", "Stopped.")]

    assert list(last_lines(rows)) == ["2 checks: 1 failed", "1 attacks: 0 leaks"]
    assert list(last_lines(rows[:1])) == ["1 check: all is well"]
