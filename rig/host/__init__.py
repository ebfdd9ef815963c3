"""A host to deploy to, and a checkout to deploy from, on this machine: a real ssh and rsync, no systemd of its own.

Either the sshd speaks through the client's ProxyCommand, so that there is no port and nothing is left running, or it
listens on one of loopback, as a host's does. Its keys are made for it and thrown away with it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rig.host import systemctl
from rig.host.stand_ins import DAEMON, PYTHON
from rig.unprivileged import clean_env

REPOSITORY = Path(__file__).parents[2]
SSHD = Path("/usr/sbin/sshd")
USER = "daemon"
"""An account that every Debian has, with a group of the same name."""
WITHIN = 60.0
"""Seconds for one deployment of stand-ins. It takes two."""
CHECKOUT = ("deploy.sh", "config.yaml", "pyproject.toml", "README.md", "LICENSE", "deploy", "rooms/_template")


def missing(*more: str) -> list[str]:
    """What a host of tests needs, and `more`, and this machine has not."""
    names = ("ssh", "ssh-keygen", "rsync", "setpriv", "git", *more)
    return [*(name for name in names if shutil.which(name) is None), *([] if SSHD.exists() else ["sshd"])]


@dataclass(frozen=True, slots=True)
class Host:
    """All of it in one folder."""

    folder: Path

    @property
    def root(self) -> Path:
        """Where deploy.sh puts everything."""
        return self.folder / "host"

    @property
    def tree(self) -> Path:
        """The checkout."""
        return self.folder / "tree"

    @property
    def config(self) -> Path:
        """The settings on the host."""
        return self.root / "etc/aiagentchat/config.yaml"

    @property
    def current(self) -> Path:
        """The link to the running release."""
        return self.root / "opt/aiagentchat/current"

    @property
    def unit(self) -> systemctl.Unit:
        """What stands in for systemd knows about it."""
        return systemctl.Unit(self.folder)

    def make(self, *, port: int | None = None, real: bool = False) -> None:
        """Everything but the files of the daemon; `real` has nothing that stands in but for systemd."""
        self.folder.chmod(0o755)
        _make_checkout(self.tree, whole=real)
        _make_ssh(self.folder, port)
        bin_ = self.folder / "bin"
        bin_.mkdir()
        words = f"exec /usr/bin/python3 -I {systemctl.__file__} {self.folder}"
        programs = {name: f'#!/bin/sh\n{words} {name} "$@" 9>&-\n' for name in ("systemctl", "journalctl")}
        programs |= {} if real else {"python3": PYTHON, "daemon": DAEMON}
        for name, text in programs.items():
            (bin_ / name).write_text(text, encoding="utf-8")
            (bin_ / name).chmod(0o755)

    def listen(self) -> None:
        """Start the sshd; `close` ends it."""
        config = self.folder / "sshd_config"
        subprocess.run([str(SSHD), "-f", str(config), "-E", str(self.folder / "sshd.log")], check=True)
        deadline = time.monotonic() + WITHIN
        while not (self.folder / "sshd.pid").exists():  # it is there before sshd listens, and after it was bound
            assert time.monotonic() < deadline, "sshd does not start"
            time.sleep(0.02)

    def close(self) -> None:
        """End what runs here: the daemon, and the sshd if there is one."""
        systemctl.stop(self.unit)
        pid = self.folder / "sshd.pid"
        if pid.exists():
            os.kill(int(pid.read_text(encoding="ascii")), signal.SIGTERM)

    def releases(self) -> list[str]:
        """The versions of the releases that lie there."""
        return sorted(path.name.split("-")[0] for path in (self.root / "opt/aiagentchat/releases").glob("*"))

    def set_version(self, version: str) -> None:
        """What the checkout is from now on."""
        (self.tree / "aiagentchat/__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")

    def deploy(self, *options: str, version: str = "", within: float = WITHIN) -> subprocess.CompletedProcess[str]:
        """Run deploy.sh from the checkout."""
        if version:
            self.set_version(version)
        return subprocess.run(
            [
                *("bash", str(self.tree / "deploy.sh"), "-F", str(self.folder / "ssh_config")),
                *("--root", str(self.root), "--user", USER, "--health", "5", "--settle", "0", *options, "testhost"),
            ],
            check=False,
            capture_output=True,
            text=True,
            env=clean_env(HOME=str(self.folder)),
            timeout=within,
        )

    def journal(self) -> str:
        """What every life of the daemon has logged, one after the other."""
        logs = sorted((self.folder / "systemd").glob("journal.*"), key=lambda file: file.stat().st_ctime_ns)
        return "".join(file.read_text(encoding="utf-8") for file in logs)

    def said(self, name: str) -> list[str]:
        """What a stand-in was called with."""
        file = self.folder / name
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _make_checkout(tree: Path, *, whole: bool) -> None:
    tree.mkdir()
    for name in CHECKOUT:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tree / name)
        else:
            shutil.copy(source, tree)
    for file in REPOSITORY.glob("requirements*.txt"):
        shutil.copy(file, tree)
    if whole:
        shutil.copytree(REPOSITORY / "aiagentchat", tree / "aiagentchat", ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (tree / "aiagentchat").mkdir()


def _make_ssh(folder: Path, port: int | None) -> None:
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\nUsePAM no\nStrictModes no\n"
        f"PermitRootLogin yes\nPasswordAuthentication no\nLogLevel ERROR\nPidFile {folder}/sshd.pid\n"
        f"ListenAddress 127.0.0.1:{port or 22}\n"
        # Behind root's own .bashrc, which may put anything before PATH.
        f'ForceCommand PATH={folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin exec sh -c "$SSH_ORIGINAL_COMMAND"\n',
        encoding="utf-8",
    )
    kind, key, *_ = (folder / "host_key.pub").read_text(encoding="utf-8").split()
    (folder / "known_hosts").write_text(f"testhost {kind} {key}\n", encoding="utf-8")
    through = f"ProxyCommand {SSHD} -i -f {folder}/sshd_config" if port is None else f"Port {port}"
    (folder / "ssh_config").write_text(
        f"Host testhost\n  HostName 127.0.0.1\n  HostKeyAlias testhost\n  User root\n  IdentityFile {folder}/user_key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        f"  {through}\n",
        encoding="utf-8",
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks itself in


def main() -> None:
    """`python -m rig.host make|close FOLDER`, for tests that are no Python."""
    host = Host(Path(sys.argv[2]))
    if sys.argv[1] == "make":
        host.make(port=free_port())
        host.listen()
    else:
        host.close()
