"""The parts of the demo, each started in a sentence and ended by whoever opened it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from rig.claude import cli_binary
from rig.demo_isolation import isolation_line
from rig.demo_state import END_WITHIN, DemoFailed, State, private
from rig.homeserver import Account, Homeserver, HomeserverFailed
from rig.setup import ensure_cli, synapse_python

PORT = 8008
"""Where Element looks for a local homeserver."""
READY_WITHIN = 60.0
"""Seconds for the daemon to be in the room."""
ROOM = "demo"
YOU, CLAUDE = "you", "claude"
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")

_NOT_OURS = ("PYTHON", "MATRIX_", "CCHAT_", "AIAGENTCHAT_")
"""Settings of other programs, or of another run."""
_TICK = 1.0
_LOOK = 0.05


def say(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something takes long, and for how long it has; gone when it is done."""
    if not sys.stdout.isatty():
        yield
        return
    done = threading.Event()

    def tick() -> None:
        begun = time.monotonic()
        while not done.wait(_TICK):
            print(f"\r\x1b[2K  {what} … {time.monotonic() - begun:.0f} s", end="", flush=True)

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        yield
    finally:
        done.set()
        ticking.join()
        print("\r\x1b[2K", end="", flush=True)


def install() -> Path:
    """What is not there yet: the CLI beside us, the homeserver in a venv of its own. Returns that one's Python."""
    with working("installing the homeserver and the Claude Code CLI (only this time)"):
        try:
            cli_binary()
        except FileNotFoundError:
            ensure_cli(say=lambda _: None)
        return synapse_python(say=lambda line: None if sys.stdout.isatty() else say(f"  {line} …"))


@contextmanager
def homeserver(state: State, python: Path) -> Iterator[Homeserver]:
    """The homeserver, on the port of last time, on 8008, or on a free one."""
    server = _at_a_port(state, python)
    try:
        with working("starting the homeserver"):
            server.start()
        state.keep(port=server.port)
        yield server
    finally:
        server.close()


def _at_a_port(state: State, python: Path) -> Homeserver:
    wanted = int(state.get("port") or PORT)
    for port in (wanted, 0):
        with suppress(OSError):
            return Homeserver(state.homeserver, port=port, python=python)
    raise DemoFailed("There is no free port on 127.0.0.1 for the homeserver.")


def account(state: State, server: Homeserver, name: str) -> tuple[Account, Path]:
    """The user, logged in, and the file that holds the access token."""
    known = state.account(name)
    if known is not None:
        with suppress(HomeserverFailed):
            server.request("GET", "/_matrix/client/v3/account/whoami", token=known.access_token)
            return known, state.keep_account(name, known)
    made = server.account(name, state.password(name))
    return made, state.keep_account(name, made)


def room(state: State, server: Homeserver, you: Account, claude: Account) -> str:
    """The room with both of them in it. Its alias makes it the same one, also if the last run was killed here."""
    try:
        found = str(server.request("GET", f"/_matrix/client/v3/directory/room/%23{ROOM}%3Alocalhost")["room_id"])
    except HomeserverFailed:
        asked = {"preset": "private_chat", "name": ROOM, "room_alias_name": ROOM, "invite": [claude.user_id]}
        found = str(server.request("POST", "/_matrix/client/v3/createRoom", asked, token=you.access_token)["room_id"])
    server.request("POST", f"/_matrix/client/v3/join/{found}", {}, token=claude.access_token)
    state.keep(room=found)
    return found


def write_config(state: State, server: Homeserver, you: Account, claude: Account, *, room: str, rooms: Path) -> None:
    """The daemon's settings, as an operator would write them."""
    settings = {
        "matrix": {"homeserver": server.url, "user_id": claude.user_id},
        "data_dir": "./data",
        "workspaces": str(rooms),
        "isolation_minimum": "none",
        "defaults": {"users": [you.user_id]},
        "rooms": [{"id": room, "name": ROOM}],
        "agents": {"claude": {"type": "claude-code", "binary": str(cli_binary())}},
    }
    heading = "# Written by `make demo` at every start.\n"
    private(state.config, heading + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def has_key(environ: Mapping[str, str]) -> bool:
    """Whether the real model can be asked."""
    return any(environ.get(name) or environ.get(f"{name}_FILE") for name in KEYS)


def daemon_env(environ: Mapping[str, str], token: Path, model_url: str | None) -> dict[str, str]:
    """The caller's environment, with the daemon's login; with `model_url`, the offline model in place of the real."""
    env = {name: value for name, value in environ.items() if not name.startswith(_NOT_OURS)}
    env["MATRIX_ACCESS_TOKEN_FILE"] = str(token)
    if model_url:
        env = {name: value for name, value in env.items() if not name.startswith(("ANTHROPIC_", "CLAUDE_"))}
        env |= {"ANTHROPIC_API_KEY": "sk-ant-offline", "ANTHROPIC_BASE_URL": model_url}
    return env


@contextmanager
def daemon(state: State, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The daemon, ready, and a line about what it keeps its runs in. Raises DemoFailed.

    Its own shims end what its agents started.
    """
    begin = state.daemon_log.stat().st_size if state.daemon_log.exists() else 0
    # What was said before the first sync is history and gets no answer; later ones go on where the last run stopped.
    knows_the_room = state.get("synced") and (state.folder / "data").exists()
    private(state.daemon_log)
    with state.daemon_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiagentchat", "run", "--config", str(state.config)],
            cwd=state.folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with working("starting the daemon"):
            _until_logged("daemon.ready" if knows_the_room else "sync.first", process, state, begin)
        state.keep(synced=True)
        yield process, isolation_line(log_lines(state.daemon_log, begin))
    finally:
        end(process)


def _until_logged(event: str, process: subprocess.Popen[bytes], state: State, begin: int) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if any(line.get("event") == event for line in log_lines(state.daemon_log, begin)):
            return
        if process.poll() is not None:
            raise DemoFailed("The daemon ended while it started.")
        time.sleep(_LOOK)
    raise DemoFailed(f"The daemon was not ready within {READY_WITHIN:.0f} s.")


def log_lines(file: Path, begin: int) -> Iterator[dict[str, object]]:
    """The events that were logged after the first `begin` bytes."""
    with file.open("rb") as log:
        log.seek(begin)
        for line in log:
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found


def end(process: subprocess.Popen[bytes]) -> None:
    """In order if it can, for good in any case."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_WITHIN)


def chat_argv(server: Homeserver, room: str, token: Path) -> list[str]:
    """The terminal client, in this room, as this user."""
    where = ["--homeserver", server.url, "--room", room, "--token-file", str(token)]
    return [sys.executable, "-m", "aiagentchat.cli.cchat", "chat", *where]


def plain_env() -> dict[str, str]:
    """The caller's environment without settings that would reach the chat."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
