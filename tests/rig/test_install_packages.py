"""What the jobs of the pipeline begin with, among programs that stand in for Debian's."""

import subprocess
from pathlib import Path

import pytest

from rig.setup import ROOT

HERE = ("git", "make")
STAND_INS = {
    "dpkg-query": f'case "$3" in {"|".join(HERE)}) echo "install ok installed" ;; *) exit 1 ;; esac',
    "apt-get": 'echo "$*" >>"$SAID"',
    "unshare": "exit $NAMESPACES",
    "id": "echo $WHO",
}


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """What apt-get is told."""
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "said").touch()
    return tmp_path / "said"


def install(said: Path, *packages: str, who: int = 0, namespaces: int = 0) -> "subprocess.CompletedProcess[str]":
    environ = {
        "PATH": f"{said.parent}:/usr/bin:/bin",
        "SAID": str(said),
        "WHO": str(who),
        "NAMESPACES": str(namespaces),
    }
    argv = [str(ROOT / ".ci/install-packages"), *packages]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=10)


def test_where_everything_is_there_nothing_is_done(said: Path) -> None:
    done = install(said, "make", "git")

    assert (done.returncode, done.stdout, done.stderr, said.read_text("utf-8")) == (0, "", "", "")


def test_what_is_missing_is_installed_and_nothing_else(said: Path) -> None:
    assert install(said, "make", "bubblewrap", "bats").returncode == 0
    assert said.read_text("utf-8") == "update -qq\ninstall -y -qq --no-install-recommends bubblewrap bats\n"


def test_a_job_that_may_make_no_namespaces_goes_without_bubblewrap_and_says_so(said: Path) -> None:
    done = install(said, "bubblewrap", "bats", namespaces=1)
    alone = install(said, "bubblewrap", "git", namespaces=1)

    assert (done.returncode, alone.returncode) == (0, 0)
    assert "strict is not tested here" in done.stdout
    assert said.read_text("utf-8").endswith(" --no-install-recommends bats\n")
    assert said.read_text("utf-8").count("install ") == 1


def test_somebody_who_may_not_install_is_told_what_is_missing(said: Path) -> None:
    done = install(said, "make", "bats", "rsync", who=1000)

    assert done.returncode == 2
    assert "sudo apt-get install --no-install-recommends bats rsync" in done.stderr
    assert said.read_text("utf-8") == ""


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_without_packages_it_says_how_it_is_used(said: Path, words: tuple[str, ...]) -> None:
    done = install(said, *words)

    assert (done.returncode, done.stderr.startswith("Usage: ")) == (2, True)
