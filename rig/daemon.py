"""The daemon as an operator starts it: its own process, its own folder, an ordinary user, an empty environment.

Or as root, where that is asked for: with all of root's powers, in the same empty environment.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from rig.claude import cli_binary
from rig.homeserver import Account
from rig.unprivileged import as_unprivileged, clean_env, own

PATIENCE = 30.0
"""Seconds that anything may take before the rig says what the log says."""

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--")
"""What makes the daemon PID 1, with a /proc of its own."""


class Daemon:
    """Made with what goes into its config.yaml; `start`, then `stop` or `kill`, then `start` again."""

    def __init__(
        self,
        folder: Path,
        homeserver: str,
        account: Account,
        rooms: Sequence[Mapping[str, Any]],
        *,
        model_url: str,
        users: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        **keys: object,
    ) -> None:
        self.folder = folder
        self.account = account
        self.config = folder / "config.yaml"
        self.log = folder / "daemon.log"
        self.workspaces = folder / "rooms"
        self.data_dir = folder / "data"
        self.settings: dict[str, Any] = {
            "matrix": {"homeserver": homeserver, "user_id": account.user_id},
            "data_dir": "./data",
            "workspaces": "./rooms",
            # The best that the machine has; where it has none, one room at a time is tested all the same.
            "isolation_minimum": "none",
            # Most stories are about what is said in answer; `tests/e2e/test_manners.py` is about the welcome.
            "defaults": {"users": list(users), "welcome": False},
            "rooms": [dict(room) for room in rooms],
            # Daemons of tests live side by side, and a port is one's own.
            "gateway": {"port": 0},
            **keys,
        }
        if "agents" not in keys:  # who brings an agent of its own needs no real one
            self.settings["agents"] = {"claude": {"type": "claude-code", "binary": str(cli_binary())}}
        self.environ = clean_env(
            HOME=str(folder),
            MATRIX_ACCESS_TOKEN=account.access_token,
            ANTHROPIC_API_KEY="sk-ant-offline",
            ANTHROPIC_BASE_URL=model_url,
        )
        self.environ.update(environ or {})
        self.as_root = False
        self.before: tuple[str, ...] = tuple(as_unprivileged())
        """What stands before the command line: who it becomes, where it lives."""
        self.arguments: tuple[str, ...] = ()
        """More words for `aiagentchat run`."""
        self.module = "aiagentchat"
        """What is run with `python -m`."""
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    @property
    def pid(self) -> int:
        """The process: where something made a namespace for it, that which is the first one there."""
        assert self._process is not None
        pid = self._process.pid
        if self.before[:1] == (NAMESPACE[0],):
            with suppress(OSError, ValueError):  # it has ended
                return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii"))
        return pid

    def stay_root(self) -> None:
        """It is started as whoever we are."""
        self.as_root, self.before = True, ()

    def write_config(self) -> None:
        """Put `settings` into config.yaml."""
        self.config.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        if not self.as_root:
            self.workspaces.mkdir(exist_ok=True)
            own(self.folder)

    async def start(self, *, until: str = "sync.first") -> None:
        """Start it and wait for a line of its log: `sync.first`, in a later life `sync.resumed`."""
        self.write_config()
        before = len(self.lines())
        words = ["run", *self.arguments, "--config", str(self.config)]
        argv = [*self.before, sys.executable, "-m", self.module, *words]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - Popen.wait works from any loop, and starts at once
            argv,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()
        await self.until_line(until, skip=before)

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """SIGKILL."""
        return await self._end(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    async def wait(self, timeout: float = PATIENCE) -> int:
        """Until it has ended by itself; its exit code."""
        assert self._process is not None
        try:
            async with asyncio.timeout(timeout):
                code = await asyncio.to_thread(self._process.wait)
        except TimeoutError:
            raise AssertionError(f"the daemon did not end in {timeout:g} s\n{self.tail()}") from None
        if self._reader is not None:
            await asyncio.to_thread(self._reader.join, timeout)  # its last lines
        return code

    async def until_line(
        self, event: str, *, skip: int = 0, timeout: float = PATIENCE, **fields: object
    ) -> dict[str, Any]:
        """Wait for a line of the log with this event and these fields."""

        return await asyncio.to_thread(self._wait_for, event, skip, timeout, fields)

    def lines(self) -> list[dict[str, Any]]:
        """Its log so far; what is no JSON comes as {"event": text}."""
        return list(self._lines)

    def tail(self, most: int = 40) -> str:
        """The end of its log, for a message of failure."""
        return "\n".join(str(line) for line in self.lines()[-most:])

    async def __aenter__(self) -> "Daemon":
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, however the block ended."""
        if self._process is not None and self._process.poll() is None:
            await self.stop()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Take the log in, until nobody can write to it any more."""
        assert process.stdout is not None
        with process.stdout, self.log.open("ab") as log:
            for raw in process.stdout:
                log.write(raw)
                log.flush()
                self._take(_parsed(raw))
        self._take(None)

    def _take(self, line: dict[str, Any] | None) -> None:
        with self._changed:
            self._lines += [] if line is None else [line]
            self._changed.notify_all()

    def _wait_for(self, event: str, skip: int, timeout: float, fields: Mapping[str, object]) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [
                line
                for line in self._lines[skip:]
                if line.get("event") == event and all(line.get(key) == value for key, value in fields.items())
            ]

        with self._changed:
            self._changed.wait_for(lambda: found() or self._has_ended(), timeout)
            if lines := found():
                return lines[0]
        raise AssertionError(f"no {event!r} {dict(fields)} in {timeout:g} s, or the daemon ended\n{self.tail()}")

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    async def _end(self, number: signal.Signals) -> int:
        with suppress(ProcessLookupError):
            self.send_signal(number)
        return await self.wait()


def _parsed(raw: bytes) -> dict[str, Any]:
    text = raw.decode("utf-8", "replace").rstrip("\n")
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"event": text}
