"""deploy.sh against a host: a real ssh and rsync onto this machine, with stand-ins for systemd and for installing.

The sshd speaks through the client's ProxyCommand, so there is no port and nothing is left running. What goes wrong, and
what becomes of earlier releases, is in `tests/ship`.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagentchat.process.sandbox.ladder import brought_by
from rig.host import REPOSITORY, USER, Host, missing

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the user on a host is"),
]


@pytest.fixture
def host() -> Iterator[Host]:
    """A host on which nothing was deployed yet."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as name:
        made = Host(Path(name))
        made.make()
        yield made
        made.close()


@pytest.fixture
def prepared(host: Host) -> Host:
    """A host with a release that runs."""
    host.deploy(version="1")
    first = host.deploy(version="1")
    assert first.returncode == 0, first.stdout + first.stderr
    return host


def test_a_fresh_host_is_prepared_and_nothing_is_started(host: Host) -> None:
    done = host.deploy(version="1")

    assert done.returncode == 2
    assert "Nothing was started" in done.stderr
    assert f"data_dir: {host.root}/var/lib/aiagentchat/data" in host.config.read_text(encoding="utf-8")
    assert (host.config.parent / "environment").stat().st_mode & 0o777 == 0o600
    assert (host.config.parent / "secrets").stat().st_mode & 0o777 == 0o700
    assert host.said("systemd/calls") == []
    assert host.releases() == []


def test_a_release_that_comes_up_is_the_current_one(prepared: Host) -> None:
    done = prepared.deploy("--with-cli", version="2")
    unit = (prepared.root / "etc/systemd/system/aiagentchat.service").read_text(encoding="utf-8")
    installed = [line for line in prepared.said("bin/pip.log") if "--requirement" in line]

    assert done.returncode == 0, done.stdout + done.stderr
    assert prepared.current.resolve().name.startswith("2-")
    assert prepared.releases() == ["1", "2"]
    assert f"ExecStart={prepared.current}/venv/bin/aiagentchat run --config {prepared.config}" in unit
    assert f"EnvironmentFile=-{prepared.config.parent}/environment" in unit
    assert f"User={USER}" in unit
    assert all("--require-hashes" in line for line in installed)
    assert [line.rpartition("/")[2] for line in installed[-3:]] == [
        *("requirements.txt", "requirements-build.txt", "requirements-cli.txt")
    ]
    # The profile for AppArmor is where the daemon says that it is.
    assert brought_by(prepared.current / "venv").read_bytes() == (REPOSITORY / "deploy/apparmor-bwrap").read_bytes()


def test_a_host_whose_key_is_not_known_is_refused(host: Host) -> None:
    (host.folder / "known_hosts").write_text("", encoding="utf-8")

    done = host.deploy(version="1")

    assert done.returncode == 2
    assert "connect once by hand" in done.stderr
    assert not host.root.exists()


def test_a_dry_run_does_nothing(host: Host) -> None:
    done = host.deploy("--dry-run", version="1")

    assert done.returncode == 0
    assert "aiagentchat drain" in done.stdout
    assert not host.root.exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--user", "a; reboot"),
        ("--health", "soon"),
        ("--settle", "-1"),
        ("--drain", "a while"),
        ("--version", "v1; reboot"),
        ("--version", "--output=/etc/passwd"),
        ("--version", "missing.whl"),
        ("--version", "v1", "--rollback"),
        ("--nonsense",),
        ("otherhost",),
    ],
    ids=" ".join,
)
def test_wrong_use_does_nothing_and_says_so(host: Host, options: tuple[str, ...]) -> None:
    done = host.deploy(*options, version="1")

    assert done.returncode == 2
    assert done.stderr.startswith("deploy.sh: ")
    assert not host.root.exists()
