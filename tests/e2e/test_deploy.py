"""deploy.sh against a host: a real ssh and rsync onto this machine, with stand-ins for systemd and for installing.

The sshd speaks through the client's ProxyCommand, so there is no port and nothing is left running.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiagentchat.process.sandbox.ladder import brought_by
from rig.unprivileged import clean_env

REPOSITORY = Path(__file__).parents[2]
SSHD = Path("/usr/sbin/sshd")
USER = "daemon"
"""An account that every Debian has, with a group of the same name."""
WITHIN = 60.0
"""Seconds for one deployment. It takes one."""

_MISSING = [name for name in ("ssh", "ssh-keygen", "rsync", "setpriv") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(not SSHD.exists() or bool(_MISSING), reason=f"needs sshd and {', '.join(_MISSING) or 'ssh'}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the user on a host is"),
]

PYTHON = r"""#!/bin/bash
# Stands in for python3 on the host: makes a venv whose aiagentchat says what the release's version wants it to say.
case $1 in
    -c) exit 0 ;;
esac
case $2 in
    venv)
        mkdir -p "$3/bin"
        printf '#!/bin/bash\nexec %s "$@"\n' "$0" >"$3/bin/python"
        chmod +x "$3/bin/python"
        cp "$(dirname "$0")/daemon" "$3/bin/aiagentchat"
        ;;
    pip) echo "$*" >>"$(dirname "$0")/pip.log" ;;
esac
"""
DAEMON = r"""#!/bin/bash
# Stands in for the daemon, which logs that it is ready, or fails as its version or its settings say.
case $1 in
    check) ! grep -q nonsense "$3" || { echo "config.yaml:1: nonsense" >&2; exit 2; } ;;
    run)
        if grep -q broken "$(dirname "$0")/../../aiagentchat/__init__.py"; then
            echo '{"event": "daemon.ended"}'
            exit 3
        fi
        echo '{"event": "daemon.ready"}'
        ;;
esac
"""
SYSTEMCTL = r"""#!/bin/bash
# Stands in for systemd: a start runs the unit's command to its end, and remembers how it ended.
here=$(dirname "$0")
echo "$*" >>"$here/systemctl.log"
case $1 in
    restart)
        number=$(($(cat "$here/invocation" 2>/dev/null || echo 0) + 1))
        echo "$number" >"$here/invocation"
        command=$(sed -n 's/^ExecStart=//p' "$here/../host/etc/systemd/system/$2")
        $command >"$here/journal.$number"
        echo $? >"$here/status"
        ;;
    is-active) [ "$(cat "$here/status")" = 0 ] ;;
    is-failed) [ "$(cat "$here/status")" != 0 ] ;;
    show) cat "$here/invocation" ;;
esac
"""
JOURNALCTL = r"""#!/bin/bash
here=$(dirname "$0")
for argument; do cat "$here/journal.${argument#_SYSTEMD_INVOCATION_ID=}" 2>/dev/null; done
true
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host, and a checkout to deploy from."""

    folder: Path

    @property
    def root(self) -> Path:
        """Where deploy.sh puts everything."""
        return self.folder / "host"

    @property
    def config(self) -> Path:
        """The settings on the host."""
        return self.root / "etc/aiagentchat/config.yaml"

    @property
    def current(self) -> Path:
        """The link to the running release."""
        return self.root / "opt/aiagentchat/current"

    def releases(self) -> list[str]:
        """The versions of the releases that lie there."""
        return sorted(path.name.split("-")[0] for path in (self.root / "opt/aiagentchat/releases").glob("*"))

    def set_version(self, version: str) -> None:
        """What the checkout is from now on."""
        (self.folder / "tree/aiagentchat/__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")

    def deploy(self, *options: str, version: str = "") -> subprocess.CompletedProcess[str]:
        """Run deploy.sh from the checkout."""
        if version:
            self.set_version(version)
        return subprocess.run(
            [
                *("bash", str(self.folder / "tree/deploy.sh"), "-F", str(self.folder / "ssh_config")),
                *("--root", str(self.root), "--user", USER, "--health", "5", *options, "testhost"),
            ],
            check=False,
            capture_output=True,
            text=True,
            env=clean_env(HOME=str(self.folder)),
            timeout=WITHIN,
        )

    def said(self, name: str) -> list[str]:
        """What a stand-in was called with."""
        file = self.folder / "bin" / name
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _checkout(tree: Path) -> None:
    tree.mkdir()
    for name in ("deploy.sh", "config.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tree)
    for file in REPOSITORY.glob("requirements*.txt"):
        shutil.copy(file, tree)
    for name in ("deploy", "rooms/_template"):
        shutil.copytree(REPOSITORY / name, tree / name)
    (tree / "aiagentchat").mkdir()


def _ssh(folder: Path) -> None:
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin yes\nLogLevel ERROR\n"
        # Behind root's own .bashrc, which may put anything before PATH.
        f'ForceCommand PATH={folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin exec sh -c "$SSH_ORIGINAL_COMMAND"\n',
        encoding="utf-8",
    )
    kind, key, *_ = (folder / "host_key.pub").read_text(encoding="utf-8").split()
    (folder / "known_hosts").write_text(f"testhost {kind} {key}\n", encoding="utf-8")
    (folder / "ssh_config").write_text(
        f"Host testhost\n  User root\n  IdentityFile {folder}/user_key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        f"  ProxyCommand {SSHD} -i -f {folder}/sshd_config\n",
        encoding="utf-8",
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks itself in


@pytest.fixture
def host() -> Iterator[Host]:
    """A host on which nothing was deployed yet."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        _checkout(folder / "tree")
        _ssh(folder)
        (folder / "bin").mkdir()
        stand_ins = {"python3": PYTHON, "daemon": DAEMON, "systemctl": SYSTEMCTL, "journalctl": JOURNALCTL}
        for program, text in stand_ins.items():
            (folder / "bin" / program).write_text(text, encoding="utf-8")
            (folder / "bin" / program).chmod(0o755)
        yield Host(folder)


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
    assert host.said("systemctl.log") == []
    assert host.releases() == []


def test_a_release_that_comes_up_is_the_current_one(prepared: Host) -> None:
    done = prepared.deploy("--with-cli", version="2")
    unit = (prepared.root / "etc/systemd/system/aiagentchat.service").read_text(encoding="utf-8")
    installed = [line for line in prepared.said("pip.log") if "--requirement" in line]

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


def test_the_profile_for_apparmor_is_where_the_daemon_says(prepared: Host) -> None:
    profile = brought_by(prepared.current / "venv")

    assert profile.read_bytes() == (REPOSITORY / "deploy/apparmor-bwrap").read_bytes()


@pytest.mark.long
def test_a_release_that_does_not_come_up_is_taken_back(prepared: Host) -> None:
    done = prepared.deploy(version="2.broken")

    assert done.returncode == 1
    assert "rolled back" in done.stderr
    assert "daemon.ended" in done.stderr
    assert prepared.current.resolve().name.startswith("1-")
    assert prepared.releases() == ["1"]
    assert prepared.said("status") == ["0"]


def test_a_first_release_that_does_not_come_up_is_stopped(host: Host) -> None:
    host.deploy(version="1.broken")

    done = host.deploy(version="1.broken")

    assert done.returncode == 1
    assert "stopped" in done.stderr
    assert "stop aiagentchat.service" in host.said("systemctl.log")


@pytest.mark.long
def test_settings_that_do_not_fit_change_nothing(prepared: Host) -> None:
    prepared.config.write_text("nonsense\n", encoding="utf-8")
    before = prepared.said("systemctl.log")

    done = prepared.deploy(version="2")

    assert done.returncode == 1
    assert "config.yaml:1: nonsense" in done.stderr
    assert prepared.current.resolve().name.startswith("1-")
    assert prepared.said("systemctl.log") == before


@pytest.mark.long
def test_the_newest_three_releases_are_kept(prepared: Host) -> None:
    for version in ("2", "3", "4"):
        prepared.deploy(version=version)

    assert prepared.releases() == ["2", "3", "4"]


def test_a_host_whose_key_is_not_known_is_refused(host: Host) -> None:
    (host.folder / "known_hosts").write_text("", encoding="utf-8")

    done = host.deploy(version="1")

    assert done.returncode == 2
    assert "connect once by hand" in done.stderr
    assert not host.root.exists()


def test_a_dry_run_does_nothing(host: Host) -> None:
    done = host.deploy("--dry-run", version="1")

    assert done.returncode == 0
    assert "daemon.ready" in done.stdout
    assert not host.root.exists()


@pytest.mark.parametrize("options", [("--user", "a; reboot"), ("--health", "soon"), ("--nonsense",), ("otherhost",)])
def test_wrong_use_does_nothing_and_says_so(host: Host, options: tuple[str, ...]) -> None:
    done = host.deploy(*options, version="1")

    assert done.returncode == 2
    assert done.stderr.startswith("deploy.sh: ")
    assert not host.root.exists()
