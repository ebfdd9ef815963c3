"""Install what the rig needs beside requirements-dev.txt: the homeserver and the CLI.

    python -m rig.setup [--homeserver] [--cli]      # without a flag: both

Afterwards both are there in the pinned version; a second call finds that out at once. The homeserver gets a venv of its
own, because it must not share our dependencies; the CLI's wheel goes into the venv that runs this. Standard library
only, since it runs before anything else is installed.
"""

import argparse
import fcntl
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".rig"
OVERRIDE = "AIAGENTCHAT_SYNAPSE_PYTHON"
"""Names a Python that has Synapse already; then nothing is installed for it."""
INSTALL_WITHIN = 900.0
"""Seconds for one installation. It takes 40 where the network is good."""

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
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(requirements)])
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
        _run([sys.executable, "-m", "pip", "install", *flags])
        say("installed the Claude Code CLI")


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two `make` at the same time install one after the other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(argv: Sequence[str]) -> None:
    """Run an installer. It sees the caller's settings of pip, and nothing that bends Python."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            argv,
            check=False,
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
    parser = argparse.ArgumentParser(prog="python -m rig.setup", description="Install the homeserver and the CLI.")
    parser.add_argument("--homeserver", action="store_true", help="Synapse, into .rig/synapse")
    parser.add_argument("--cli", action="store_true", help="the Claude Code CLI, into this Python's venv")
    asked = parser.parse_args()
    try:
        if asked.homeserver or not asked.cli:
            synapse_python()
        if asked.cli or not asked.homeserver:
            ensure_cli()
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")


if __name__ == "__main__":
    main()
