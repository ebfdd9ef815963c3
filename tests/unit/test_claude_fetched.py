"""The CLI is fetched by pip, by its hash, into data_dir. The wheels here are made by hand, and no index is asked."""

import hashlib
import os
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiagentchat.agents.claude_code import binary
from aiagentchat.agents.claude_code.fetched import LICENCE, REQUIREMENTS, NotFetched, fetch, pinned, place
from aiagentchat.cli.fetch_cli import VARIABLE, fetch_at_start
from aiagentchat.cli.main import app
from aiagentchat.config.load import load
from tests.unit.test_app_live import GOOD
from tests.unit.test_claude_binary import NOWHERE, no_wheel

ROOT = Path(__file__).parents[2]
PROGRAM = "#!/bin/sh\necho 2.1.329\n"
OFFLINE = {"PATH": os.defpath, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/no/such/folder", "MATRIX_PASSWORD": "hunter22"}


def wheel(folder: Path, version: str, files: dict[str, str]) -> str:
    """Make a wheel, and return what a requirements file says of it."""
    info = f"claude_agent_sdk-{version}.dist-info"
    file = folder / f"claude_agent_sdk-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: claude-agent-sdk\nVersion: {version}\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"# by hand\nclaude-agent-sdk=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A pinned wheel with a program in it, in tmp_path."""
    file = tmp_path / "requirements.txt"
    file.write_text(wheel(tmp_path, "9.9.9", {"claude_agent_sdk/_bundled/claude": PROGRAM}))
    return file


def test_what_is_fetched_is_what_is_pinned_for_development() -> None:
    assert REQUIREMENTS.read_bytes() == (ROOT / "requirements-cli.txt").read_bytes()
    assert f"=={pinned()}\n" in (ROOT / "requirements-cli.in").read_text(encoding="utf-8")


def test_it_is_there_whole_and_alone_and_can_be_started_by_everybody(tmp_path: Path, requirements: Path) -> None:
    data_dir = tmp_path / "data"
    (data_dir / "cli" / "9.9.8").mkdir(parents=True)

    program = fetch(data_dir, OFFLINE, wheels=tmp_path, requirements=requirements)

    assert program == place(data_dir, requirements) == data_dir / "cli" / "9.9.9" / "claude"
    assert [path.name for path in (data_dir / "cli").rglob("*")] == ["9.9.9", "claude"]
    assert [oct(path.stat().st_mode & 0o777) for path in (program, *program.parents[:2])] == ["0o755"] * 3
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout == "2.1.329\n"


def test_another_hash_is_not_installed_and_what_was_there_stays(tmp_path: Path, requirements: Path) -> None:
    data_dir = tmp_path / "data"
    fetch(data_dir, OFFLINE, wheels=tmp_path, requirements=requirements)
    wheel(tmp_path, "9.9.9", {"claude_agent_sdk/_bundled/claude": "#!/bin/sh\necho evil\n"})

    with pytest.raises(NotFetched, match="its hash is another one"):
        fetch(data_dir, OFFLINE, wheels=tmp_path, requirements=requirements)
    assert place(data_dir, requirements).read_text() == PROGRAM
    assert [path.name for path in (data_dir / "cli").iterdir()] == ["9.9.9"]


def test_a_wheel_without_a_program_is_told(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(wheel(tmp_path, "9.9.9", {"claude_agent_sdk/__init__.py": ""}))

    with pytest.raises(NotFetched, match=r"9\.9\.9 .* has no program in it"):
        fetch(tmp_path / "data", OFFLINE, wheels=tmp_path, requirements=requirements)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(NotFetched, match="cannot be put into"):
        fetch(tmp_path / "data", OFFLINE)


def test_it_is_found_where_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_wheel(monkeypatch)
    program = place(tmp_path)
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)

    assert binary.find("claude", NOWHERE, tmp_path) == program


# ── what is typed, and the start ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


def test_the_licence_is_named_and_without_a_yes_nothing_is_fetched(config: Path) -> None:
    shown = CliRunner().invoke(app, ["fetch-cli", "--config", str(config)])

    assert shown.exit_code == 1
    assert LICENCE in shown.stdout
    assert "--yes" in shown.stderr
    assert not (config.parent / "data").exists()


def test_what_is_there_is_not_fetched_again(config: Path) -> None:
    program = place(load(config, {}).data_dir)
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)

    shown = CliRunner().invoke(app, ["fetch-cli", "--config", str(config)])

    assert (shown.exit_code, shown.stdout) == (0, f"It is there: {program}\n")


def test_a_folder_without_the_wheel_is_told(config: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["fetch-cli", "--yes", "--from", str(tmp_path), "--config", str(config)])

    assert shown.exit_code == 1
    assert "could not be fetched" in shown.stderr
    assert "claude-agent-sdk" in shown.stderr
    assert list((config.parent / "data" / "cli" / pinned()).iterdir()) == []


def test_the_daemon_fetches_it_only_when_it_is_told_to(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_wheel(monkeypatch)
    settings = load(config, {})

    fetch_at_start(settings, OFFLINE | NOWHERE)
    assert not (settings.data_dir / "cli").exists()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(notify := str(config.parent / "notify"))
        fetch_at_start(settings, OFFLINE | NOWHERE | {VARIABLE: "1", "NOTIFY_SOCKET": notify})
        assert b"EXTEND_TIMEOUT_USEC=" in systemd.recv(4096)
    said = capsys.readouterr().out
    assert LICENCE in said
    assert "agent.not_fetched" in said
    assert "hunter22" not in said
