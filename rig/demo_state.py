"""What the demo keeps between two runs: passwords, logins, the room, the port; and what a killed one left running."""

import fcntl
import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from rig.homeserver import Account

END_WITHIN = 15.0
"""Seconds for a process to end in order, before it is killed."""
_PROGRAMS = ("synapse.app.homeserver", "aiagentchat", "aiagentchat.cli.cchat")


class DemoFailed(Exception):
    """The demo cannot go on. The text is a sentence for the person who started it."""


class State:
    """The demo's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.homeserver = folder / "homeserver"
        self.config = folder / "config.yaml"
        self.daemon_log = folder / "daemon.log"
        self._file = folder / "state.json"
        self._kept: dict[str, Any] = {}

    def load(self) -> None:
        """Make the folder if need be, and read what an earlier run kept."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # What root's agents run is a user of its own, which goes through here to its HOME and cannot list it.
            self.folder.chmod(0o711)
        self.homeserver.mkdir(exist_ok=True)
        self.homeserver.chmod(0o700)
        if self._file.exists():
            self._kept = json.loads(self._file.read_text("utf-8"))

    @property
    def is_new(self) -> bool:
        """Whether this is the first run."""
        return "room" not in self._kept

    def get(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """What was kept under a name, None when nothing was."""
        return self._kept.get(name)

    def keep(self, **values: object) -> None:
        """Remember; whole or not at all."""
        self._kept |= values
        fresh = self._file.with_suffix(".new")
        private(fresh, json.dumps(self._kept, indent=1))
        fresh.replace(self._file)

    def password(self, name: str) -> str:
        """The user's password, made before the user is."""
        if (known := self.get(f"{name} password")) is None:
            known = secrets.token_urlsafe(9)
            self.keep(**{f"{name} password": known})
        return str(known)

    def account(self, name: str) -> Account | None:
        """The user as an earlier run knew it."""
        known = self.get(name)
        return Account(**known) if known else None

    def keep_account(self, name: str, account: Account) -> Path:
        """Remember the user; returns the file with nothing but the access token in it."""
        self.keep(**{name: asdict(account)})
        return private(self.token_file(name), account.access_token)

    def token_file(self, name: str) -> Path:
        """Where the user's access token is."""
        return self.folder / f"{name}.token"

    @contextmanager
    def own(self) -> Iterator[None]:
        """One demo per folder. Raises DemoFailed."""
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DemoFailed(f"Another demo runs in {self.folder}; leave that one first.") from None
            yield

    def end_leftovers(self) -> int:
        """End what a demo that was killed could not end itself; how many there were. Only while `own` holds."""
        left = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)  # psutil compares the start time first
        _, alive = psutil.wait_procs(left, timeout=END_WITHIN)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=END_WITHIN)
        return len(left)

    def _is_ours(self, process: psutil.Process) -> bool:
        """A program of ours with exactly this folder's files in its arguments: true from its first moment on, unlike a
        pid file, and never true of a stranger."""
        try:
            argv = process.cmdline()
            same_user = process.uids().effective == os.geteuid()
        except psutil.Error:
            return False
        files = {str(self.config), str(self.homeserver / "homeserver.yaml"), str(self.token_file("you"))}
        runs = any(argv[place : place + 2] == ["-m", name] for place in range(1, 4) for name in _PROGRAMS)
        return same_user and runs and bool(files & set(argv))


def private(file: Path, text: str | None = None) -> Path:
    """Make a file that only its owner can read, and write it when there is a text."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    if text is not None:
        file.write_text(text, "utf-8")
    return file
