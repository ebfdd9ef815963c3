"""A throw-away Matrix homeserver: a real Synapse on loopback, in a folder of its own.

When `start` returns it answers; when `stop` returns nothing of it is left running. The folder keeps its state, so a
later start on the same folder finds the same users and rooms. The port belongs to the object from the constructor on,
also while the server is down: an outage looks like one (connection refused), and nobody else gets the port.
"""

import atexit
import base64
import hashlib
import hmac
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from rig.setup import synapse_python

START_WITHIN = 60.0
"""Seconds until a server that has not said that it is ready counts as broken. It takes 2, on a busy machine 5."""
STOP_WITHIN = 10.0
"""Seconds for an orderly end after SIGTERM, before SIGKILL."""
REQUEST_WITHIN = 30.0
PASSWORD = "correct horse"
"""Everybody's: the server listens on loopback only."""

_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}
_LIMITS_OFF: dict[str, Any] = {
    **dict.fromkeys(
        (
            "rc_message",
            "rc_registration",
            "rc_registration_token_validity",
            "rc_admin_redaction",
            "rc_joins_per_room",
            "rc_room_creation",
            "rc_3pid_validation",
            "rc_delayed_event_mgmt",
            "rc_reports",
            "rc_key_requests",
        ),
        _UNLIMITED,
    ),
    "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), _UNLIMITED),
    "rc_joins": dict.fromkeys(("local", "remote"), _UNLIMITED),
    "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), _UNLIMITED),
    "rc_presence": {"per_user": _UNLIMITED},
}


class HomeserverFailed(Exception):
    """It did not start, or it refused what was asked. The text ends with what Synapse itself wrote last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with a device that is logged in."""

    user_id: str
    password: str
    access_token: str
    device_id: str


class Homeserver:
    """One Synapse. `limits="off"` takes every rate limit away, `"default"` keeps those that Synapse ships with."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        server_name: str = "localhost",
        limits: Literal["off", "default"] = "off",
        python: Path | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        """`config` has what else its homeserver.yaml says, such as how long a login lasts."""
        self.folder = folder
        self.server_name = server_name
        self._limits = limits
        self._python = python
        self._config = dict(config or {})
        self._process: subprocess.Popen[bytes] | None = None
        # A bound socket that never listens: others are refused the port, Synapse (SO_REUSEADDR as well) is not.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", port))
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Its process, None while it is down."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and return when it answers. Raises HomeserverFailed; then nothing is left running."""
        if self._process:
            return
        self._write_config()
        atexit.register(self.stop)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind("")  # the kernel picks an abstract name
            name = notices.getsockname()[1:].decode()
            try:
                self._process = self._spawn(notify=f"@{name}")
                self._wait_until_ready(self._process, notices)
                self.request("GET", "/_matrix/client/versions")
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End it. Takes at most a little longer than STOP_WITHIN."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_WITHIN)

    def close(self) -> None:
        """End it, and give the port back."""
        self.stop()
        self._reserved.close()

    def restart(self) -> None:
        """As after an upgrade of the server: same address, same state."""
        self.stop()
        self.start()

    def register(self, name: str, password: str = PASSWORD, *, admin: bool = False) -> Account:
        """A new user, logged in."""
        nonce = str(self.request("GET", "/_synapse/admin/v1/register")["nonce"])
        signed = "\0".join((nonce, name, password, "admin" if admin else "notadmin"))
        mac = hmac.new(self._secrets()["registration"].encode(), signed.encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
        return _account(password, self.request("POST", "/_synapse/admin/v1/register", body))

    def login(self, name: str, password: str = PASSWORD) -> Account:
        """One more device of a user who exists."""
        who = {"type": "m.id.user", "user": name}
        body = {"type": "m.login.password", "identifier": who, "password": password}
        return _account(password, self.request("POST", "/_matrix/client/v3/login", body))

    def account(self, name: str, password: str = PASSWORD) -> Account:
        """The user with that name, made when there is none: for a folder that is used again."""
        try:
            return self.register(name, password)
        except HomeserverFailed as failed:
            if "M_USER_IN_USE" not in str(failed):
                raise
        return self.login(name, password)

    def request(self, method: str, path: str, body: object = None, *, token: str = "") -> dict[str, Any]:
        """One call of its HTTP API; `token` is an access token."""
        asked = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            asked.data = json.dumps(body).encode()
            asked.add_header("Content-Type", "application/json")
        if token:
            asked.add_header("Authorization", f"Bearer {token}")
        try:
            with _NO_PROXY.open(asked, timeout=REQUEST_WITHIN) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise self._failed(f"{method} {path}: HTTP {error.code} {error.read(500)!r}") from error
        except OSError as error:
            raise self._failed(f"{method} {path}: {error}") from error

    def _spawn(self, *, notify: str) -> subprocess.Popen[bytes]:
        python = self._python or synapse_python()
        with (self.folder / "stdout.log").open("ab") as output:
            return subprocess.Popen(
                [str(python), "-m", "synapse.app.homeserver", "-c", str(self.folder / "homeserver.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "LANG": "C.UTF-8",
                    "HOME": str(self.folder),
                    "PYTHONUNBUFFERED": "1",
                    "SYNAPSE_CACHE_FACTOR": "0.5",
                    "NOTIFY_SOCKET": notify,
                },
                start_new_session=True,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes], notices: socket.socket) -> None:
        """Wait for what systemd would wait for, or for its death."""
        died = os.pidfd_open(process.pid)
        try:
            heard, _, _ = select.select([notices.fileno(), died], [], [], START_WITHIN)
        finally:
            os.close(died)
        if notices.fileno() in heard and notices.recv(1024).startswith(b"READY=1"):
            return
        raise self._failed("it ended while it started" if died in heard else f"not ready within {START_WITHIN:.0f} s")

    def _failed(self, what: str) -> HomeserverFailed:
        return HomeserverFailed(f"Synapse on {self.url} in {self.folder}: {what}\n{self._last_words()}")

    def _last_words(self, most: int = 3000) -> str:
        logs = [self.folder / "stdout.log", self.folder / "homeserver.log"]
        tails = [(log.name, log.read_text("utf-8", "replace")[-most:].strip()) for log in logs if log.exists()]
        return "\n".join(f"--- {name}\n{tail}" for name, tail in tails if tail) or "(it wrote nothing)"

    def _secrets(self) -> dict[str, str]:
        """Made once: access tokens and the room signatures must survive a restart."""
        file = self.folder / "secrets.json"
        if not file.exists():
            file.touch(mode=0o600)
            seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            made = {name: secrets.token_urlsafe(24) for name in ("registration", "macaroon", "form")}
            file.write_text(json.dumps({**made, "signing_key": f"ed25519 a_rig {seed}\n"}), "utf-8")
        return dict(json.loads(file.read_text("utf-8")))

    def _write_config(self) -> None:
        """Synapse reads YAML, and JSON is YAML."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self._secrets()
        key = self.folder / "signing.key"
        key.touch(mode=0o600)
        key.write_text(kept["signing_key"], "utf-8")
        config: dict[str, Any] = {
            "server_name": self.server_name,
            "public_baseurl": f"{self.url}/",
            "pid_file": str(self.folder / "homeserver.pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client"], "compress": False}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(key),
            "registration_shared_secret": kept["registration"],
            "macaroon_secret_key": kept["macaroon"],
            "form_secret": kept["form"],
            "report_stats": False,
            "suppress_key_server_warning": True,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "bcrypt_rounds": 4,
            # Otherwise an identical /sync within two minutes is answered from a cache, without what is new.
            "caches": {"sync_response_cache_duration": "0s"},
        }
        config |= (_LIMITS_OFF if self._limits == "off" else {}) | self._config
        (self.folder / "homeserver.yaml").write_text(json.dumps(config, indent=1), "utf-8")
        (self.folder / "log.yaml").write_text(
            json.dumps(_log_config(self.folder / "homeserver.log"), indent=1), "utf-8"
        )


def _log_config(file: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "formatter": "line", "filename": str(file)}},
        "root": {"level": "WARNING", "handlers": ["file"]},
        "disable_existing_loggers": False,
    }


def _account(password: str, answer: dict[str, Any]) -> Account:
    return Account(
        user_id=str(answer["user_id"]),
        password=password,
        access_token=str(answer["access_token"]),
        device_id=str(answer["device_id"]),
    )
