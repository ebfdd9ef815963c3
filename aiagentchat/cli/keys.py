"""`aiagentchat keys …`. A secret is printed only with --show, and never read from the command line."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path

import typer

from aiagentchat.app.keys import KeyReport, Restored, export, look, restore
from aiagentchat.app.live import Live
from aiagentchat.app.owner import own, owner_pid, see_into
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets, with_folder
from aiagentchat.core.errors import AlreadyRunning, AppError, ConfigError
from aiagentchat.core.redact import shapes_only
from aiagentchat.matrix.crypto.cross_signing import UNSIGNED
from aiagentchat.observability.log import silence
from aiagentchat.render.hygiene import clean
from aiagentchat.render.words import count

TO_DO = 10
"""Exit code of `status` where something is to be done; as the doctor has it."""
ENDED = 130
"""Exit code after Ctrl-C, as shells have it."""

_MOST_BYTES = 4096
_PRIVATE = 0o600


def status_command(config: Path, *, as_json: bool) -> int:
    """Say how things stand. Returns the exit code."""
    return _run(config, lambda live: _say(asyncio.run(look(live)), as_json=as_json))


def export_command(config: Path, file: Path | None, *, show: bool, force: bool) -> int:
    """Make a recovery key, and write it to `file` or show it. Returns the exit code."""
    if (file is None) is not show:
        return complain(ConfigError(["Name a file for the recovery key, or --show to print it: one of the two."]))
    if file is not None and os.path.lexists(file):
        return complain(ConfigError([f"{file} is there already, and is not overwritten; name another file"]))

    def write(key: str) -> None:
        if file is None:
            typer.echo(key)
        else:
            _write(file, f"{key}\n")

    def work(live: Live) -> int:
        with _alone(live):
            asyncio.run(export(live, write, force=force))
        where = "above" if file is None else f"in {file}"
        typer.echo(
            f"The recovery key is {where}. With it, and the account's login, the identity can be had back on any "
            "machine: keep it apart from both.",
            err=file is None,
        )
        return 0

    return _run(config, work)


def restore_command(config: Path, file: Path | None) -> int:
    """Get the identity back with what is in `file`, or with what is typed. Returns the exit code."""

    def work(live: Live) -> int:
        with _alone(live):
            # Asked before anything is begun, so that Ctrl-C ends it at once.
            restored = asyncio.run(restore(live, _read(file) if file is not None else _asked()))
        typer.echo(f"The identity of {live.settings.matrix.user_id} is here. {_of_backup(restored)}")
        typer.echo("Start the daemon: it signs its device. Then look: aiagentchat keys status")
        return 0

    return _run(config, work)


def _asked() -> str:
    if not sys.stdin.isatty():
        raise ConfigError(["There is nobody to ask for the recovery key; put it into a file and use --file"])
    return getpass("Recovery key or passphrase: ")  # not typer.prompt, which asks before it hides what is typed


def _of_backup(restored: Restored) -> str:
    if restored.backup is None:
        return "There is no backup of room keys that it opens."
    return f"The key to the backup of {count(restored.backup.sessions, 'room key')} is kept with it."


def _run(config: Path, work: Callable[[Live], int]) -> int:
    os.umask(0o077)
    silence()
    redact = shapes_only()
    try:
        environ = with_folder(config, os.environ)
        live = Live(load(config, environ), load_secrets(environ), environ)
        redact = live.redactor()
        see_into(live.settings.data_dir)
        return work(live)
    except AppError as error:
        return complain(error, redact)
    except (KeyboardInterrupt, EOFError):
        typer.echo("\naiagentchat: ended before it was done", err=True)
        return ENDED


@contextmanager
def _alone(live: Live) -> Iterator[None]:
    """No daemon runs on this data_dir, and none starts meanwhile. Raises AlreadyRunning."""
    folder = live.settings.data_dir
    if (pid := owner_pid(folder)) is not None:
        raise AlreadyRunning(f"the daemon (pid {pid}) uses {folder}; end it first, for example by aiagentchat drain")
    with own(folder):
        yield


def _say(report: KeyReport, *, as_json: bool) -> int:
    if as_json:
        typer.echo(json.dumps(report.values(), ensure_ascii=False))
    else:
        for line in lines(report):
            typer.echo(clean(line))
    return 0 if report.is_well else TO_DO


def lines(report: KeyReport) -> list[str]:
    """What the operator reads."""
    said = [f"{report.user}, device {report.device or '(none yet)'}"]
    said.append(f"identity: {_IDENTITIES[report.identity]}")
    said.append("its keys: " + (report.trouble or ("here, sealed" if report.seeds else "not here")))
    said.append("this device: " + ("signed" if report.signed else f"not signed. {UNSIGNED}"))
    said.append("recovery: " + ("there is a recovery key" if report.secret_storage else "no recovery key was made"))
    has = f"version {report.backup}, {count(report.backup_sessions, 'room key')}" if report.backup else "none"
    said.append(f"backup of room keys: {has}")
    said.append(f"daemon: runs, pid {report.daemon}" if report.daemon else "daemon: does not run")
    if (todo := to_do(report)) is not None:
        said.append(f"→ {todo}")
    return said


_IDENTITIES = {
    "ours": "the one whose keys are here",
    "foreign": "there is one, and its keys are not here",
    "none": "none yet",
}


def to_do(report: KeyReport) -> str | None:
    """What comes next; None if nothing has to. A recovery key is worth having before it is needed."""
    if report.trouble:
        return "Put the store key back in its place, or: aiagentchat keys restore"
    if report.identity == "foreign" and not report.secret_storage:
        return (
            'Set up recovery in a client that has the identity (in Element: "Encryption", "Recovery"); then stop the '
            "daemon, and give the recovery key: aiagentchat keys restore"
        )
    if report.identity == "foreign":
        return "Stop the daemon, then give the recovery key: aiagentchat keys restore"
    if not report.signed:
        return "Restart the daemon: it signs its device, or its log says why not (identity.unsigned)"
    if not report.secret_storage:
        return "Make a recovery key, for when this machine is lost: aiagentchat keys export FILE"
    return None


def _read(file: Path) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError([f"--file: {file} is not a file"])
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError([f"--file: other users can read {file}; run: chmod 600 {file}"])
            return os.read(descriptor, _MOST_BYTES).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError([f"--file: {file} cannot be read: {error.strerror}"]) from error


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
        try:
            os.write(descriptor, text.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError([f"{file} cannot be written: {error.strerror}; the account's keys are as before"]) from error
