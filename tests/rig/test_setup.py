"""What the rig installs is installed once, and for everybody. Offline: the requirements are empty or broken."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.setup import OVERRIDE, SetupFailed, ensure_cli, ensure_venv, synapse_python


def _requirements(folder: Path, text: str) -> Path:
    file = folder / "requirements.txt"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.usefixtures("closed_umask")
def test_a_venv_is_made_once_for_everybody_and_again_when_the_requirements_change(tmp_path: Path) -> None:
    said: list[str] = []
    requirements = _requirements(tmp_path, "# nothing\n")
    folder = tmp_path / "inner" / "venv"

    first = ensure_venv(folder, requirements, say=said.append)
    announced = len(said)
    modes = [path.stat().st_mode for path in folder.rglob("*") if path.name != "installed"]
    second = ensure_venv(folder, requirements, say=said.append)
    silent = len(said) == announced
    third = ensure_venv(folder, _requirements(tmp_path, "# other\n"), say=said.append)

    assert first == second == third
    assert silent
    assert len(said) == 2 * announced
    assert len(modes) > 100
    assert all(mode & stat.S_IROTH for mode in modes)


@pytest.fixture
def closed_umask() -> Iterator[None]:
    """That of a careful root."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_an_installation_that_fails_says_why_and_is_tried_again(tmp_path: Path) -> None:
    broken = _requirements(tmp_path, "./nowhere.whl\n")

    for _ in range(2):
        with pytest.raises(SetupFailed, match=r"nowhere\.whl"):
            ensure_venv(tmp_path / "venv", broken, say=lambda _: None)


def test_a_synapse_that_is_there_already_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "/opt/synapse/bin/python")

    assert synapse_python() == Path("/opt/synapse/bin/python")


def test_the_cli_is_not_installed_again(cli: Path) -> None:
    said: list[str] = []

    ensure_cli(say=said.append)

    assert said == []
    assert cli.is_file()
