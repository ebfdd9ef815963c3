"""Brings the CLI where nobody has installed it, as in an image that is passed on: by pip, in the pinned version.

The program lies in the wheel claude-agent-sdk and is Anthropic's: it is fetched only when the operator says so, and
from then on it is in data_dir, where no room can change it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

from aiagentchat.core.errors import AppError

LICENCE = (
    "Claude Code is a program of Anthropic, and no part of aiagentchat. It is licensed under Anthropic's Commercial "
    "Terms of Service, https://www.anthropic.com/legal/commercial-terms; whoever fetches it accepts them."
)
FOLDER = "cli"
"""In data_dir."""
REQUIREMENTS = Path(__file__).with_name("requirements-cli.txt")
"""The wheel and its hashes: a copy of the file at the top, because this one is installed with the package."""
FETCH_SECONDS = 1800.0
"""How long it may take; it is 170 MB."""

_PROGRAM = Path("claude_agent_sdk", "_bundled", "claude")
_WORD = "claude-agent-sdk=="
_FOR_ALL = 0o755
"""The users of the rooms start it, too."""
_PASSED_ON = frozenset(
    ("HOME", "LANG", "LC_ALL", "NETRC", "PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE")
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class NotFetched(AppError):
    """The agent's program could not be fetched; what was there before is there still."""


def pinned(requirements: Path = REQUIREMENTS) -> str:
    """The version of the wheel."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix(_WORD).split()[0] for line in lines if line.startswith(_WORD))


def place(data_dir: Path, requirements: Path = REQUIREMENTS) -> Path:
    """Where the program is once it has been fetched."""
    return data_dir / FOLDER / pinned(requirements) / _PROGRAM.name


def fetch(
    data_dir: Path, environ: Mapping[str, str], *, wheels: Path | None = None, requirements: Path = REQUIREMENTS
) -> Path:
    """The program, fetched from the index that pip is set to, or from a folder of wheels. Raises NotFetched.

    It is there whole or not at all, and older ones are gone afterwards.
    """
    wanted = place(data_dir, requirements)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (wanted.parents[1], wanted.parent):
            folder.mkdir(exist_ok=True)
            folder.chmod(_FOR_ALL)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=wanted.parents[1]) as new:
            _install(Path(new), environ, wheels, requirements)
            program = Path(new) / _PROGRAM
            if not program.is_file():
                raise NotFetched(
                    f"the wheel {pinned(requirements)} for this machine has no program in it; install Claude Code, and "
                    "name it by `binary` of the agent in config.yaml"
                )
            program.chmod(_FOR_ALL)
            program.replace(wanted)
    except OSError as error:
        raise NotFetched(f"the agent's program cannot be put into {wanted.parent}: {error.strerror}") from error
    for other in wanted.parents[1].iterdir():
        if other != wanted.parent and not other.name.startswith("."):
            rmtree(other, ignore_errors=True)
    return wanted


def _install(into: Path, environ: Mapping[str, str], wheels: Path | None, requirements: Path) -> None:
    if find_spec("pip") is None:
        raise NotFetched(
            f"the agent's program is fetched by pip, which {sys.executable} does not have; install it there"
        )
    argv = [
        # -I: what lies in the folder that this was started in is not taken for a module.
        *(sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-cache-dir", "--no-compile", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--target", str(into), "--requirement", str(requirements)),
        *(("--no-index", "--find-links", str(wheels)) if wheels else ()),
    ]
    # Nothing of what the daemon knows goes along, and what is unpacked on the way is on the same disk.
    env = {name: value for name, value in environ.items() if _is_for_pip(name)} | {"TMPDIR": str(into)}
    with subprocess.Popen(  # noqa: S603 - our own words, and no shell
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that what it starts can be ended with it
    ) as pip:
        try:
            _, said = pip.communicate(timeout=FETCH_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NotFetched(f"the agent's program was not fetched within {FETCH_SECONDS / 60:.0f} minutes") from error
        finally:
            if pip.returncode is None:
                os.killpg(pip.pid, signal.SIGKILL)  # it is not reaped, so the number is still its own
    if pip.returncode != 0:
        raise NotFetched(f"the agent's program could not be fetched: {_reason(said)}")


def _is_for_pip(name: str) -> bool:
    return name.startswith("PIP_") or name in _PASSED_ON or name.lower() in _PROXIES


def _reason(said: str) -> str:
    """What pip means: the first line that it calls an error, else its last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "what came is not what is pinned: its hash is another one, and it was not installed"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return next(iter([*errors, *lines[-1:]]), "pip gives no reason")[:300]
