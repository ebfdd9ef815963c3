"""What the rig installs is installed once, and for everybody. Offline: the requirements are empty or broken."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.setup import (
    OVERRIDE,
    ROOT,
    Node,
    SetupFailed,
    ensure_cli,
    ensure_packages,
    ensure_venv,
    js_client,
    npm_files,
    synapse_python,
)


def _requirements(folder: Path, text: str) -> Path:
    file = folder / "requirements.txt"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.usefixtures("closed_umask")
@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.parametrize(("folder", "package"), [("js", "matrix-js-sdk"), ("screenshots", "matrix-react-sdk")])
def test_npm_is_given_hashes_and_no_address(folder: str, package: str) -> None:
    listed = (ROOT / "rig" / folder / "packages.txt").read_text("utf-8")

    manifest, lock = npm_files(listed)
    packages = json.loads(lock)["packages"]

    assert json.loads(manifest)["dependencies"][package] == packages[f"node_modules/{package}"]["version"]
    assert all(found["integrity"].startswith("sha512-") for name, found in packages.items() if name)
    assert "://" not in manifest + lock


def test_a_package_may_lie_in_another_one_or_be_for_one_processor() -> None:
    manifest, lock = npm_files("a@1.0.0 sha512-a\n@b/c@2.0.0 sha512-c arm64\na/node_modules/@b/d@3.0.0 sha512-d\n")
    packages = json.loads(lock)["packages"]

    assert json.loads(manifest)["dependencies"] == {"a": "1.0.0"}
    assert json.loads(manifest)["optionalDependencies"] == {"@b/c": "2.0.0"}
    assert packages["node_modules/a"]["dependencies"] == {"@b/d": "3.0.0"}
    assert packages["node_modules/a/node_modules/@b/d"] == {"version": "3.0.0", "integrity": "sha512-d"}
    assert (packages["node_modules/@b/c"]["cpu"], packages["node_modules/@b/c"]["optional"]) == (["arm64"], True)


def test_packages_are_installed_once_and_a_failure_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    listed = _requirements(tmp_path, "thing@1.0.0 sha512-x\n")
    npm = tmp_path / "npm"
    folder = tmp_path / "js"

    npm.write_text("#!/bin/sh\necho wanted sha512-x but got sha512-y\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(SetupFailed, match="but got sha512-y"):
        ensure_packages(folder, listed, [str(npm)], say=said.append)
    npm.write_text("#!/bin/sh\nmkdir node_modules\n")
    first = ensure_packages(folder, listed, [str(npm)], say=said.append)
    announced = len(said)
    second = ensure_packages(folder, listed, [str(npm)], say=said.append)

    assert first == second == folder / "node_modules"
    assert len(said) == announced == 3


def test_the_test_clients_are_not_installed_again(node: Node) -> None:
    said: list[str] = []

    assert js_client(say=said.append) == node
    assert said == []
