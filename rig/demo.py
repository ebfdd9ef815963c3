"""`make demo`: a homeserver, the daemon, a room and a chat, all on this machine, and nothing of it left afterwards.

    python -m rig.demo [--state DIR] [--rooms DIR]

With a terminal the chat opens; without one, one message is sent and the conversation printed. The state folder keeps
users, room and conversation for the next time.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rig import demo_parts as parts
from rig.demo_chat import OFFLINE_MESSAGE, REAL_MESSAGE, chat, show
from rig.demo_parts import CLAUDE, ROOM, YOU, say
from rig.demo_state import DemoFailed, State
from rig.homeserver import Account, Homeserver, HomeserverFailed
from rig.model import model_thread
from rig.setup import ROOT, SetupFailed

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ended(BaseException):
    """A signal asks us to end."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def ending_in_order() -> Iterator[ExitStack]:
    """A stack that is unwound completely, whatever signal ends the block and whatever signals come after it."""

    def on_signal(number: int, _: FrameType | None) -> None:
        ignore()
        raise _Ended(number)

    def ignore() -> None:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)

    for number in _ENDING:
        signal.signal(number, on_signal)
    with ExitStack() as stack:
        try:
            yield stack
        finally:
            ignore()


def main() -> None:
    """Run the demo; exits with 0, 1 after a failure, or as a signal asks."""
    parser = argparse.ArgumentParser(prog="python -m rig.demo", description="Try it, all on this machine.")
    parser.add_argument("--state", type=Path, default=ROOT / ".demo", help="what is kept for the next time")
    parser.add_argument("--rooms", type=Path, default=ROOT / "rooms", help="where the room's folder is made")
    asked = parser.parse_args()
    state = State(asked.state.resolve())
    try:
        with ending_in_order() as stack:
            code = run(state, asked.rooms.resolve(), stack)
            say("\nEnding everything that was started …")
        say(f"Ended. It is all kept in {_near(state.folder)}; go on with: make demo")
    except _Ended as ended:
        say("\nEnded, and nothing is left running.")
        code = 128 + ended.number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing to say, nothing to flush
        code = 128 + signal.SIGPIPE
    except (DemoFailed, HomeserverFailed, SetupFailed, OSError) as failed:
        code = 1
        print(f"✗ {str(failed).splitlines()[0]}", file=sys.stderr)
        print(f"  {_where_to_look(failed, state)}", file=sys.stderr)
    sys.exit(code)


def run(state: State, rooms: Path, stack: ExitStack) -> int:
    """Start everything, and do what there is to do. Returns the exit code."""
    state.load()
    stack.enter_context(state.own())
    if left := state.end_leftovers():
        say(f"✓ Ended what an earlier demo left running ({left})")
    server = stack.enter_context(parts.homeserver(state, parts.install()))
    say(f"✓ Homeserver (Synapse) on {server.url}")
    was_new = state.is_new
    you, your_token = parts.account(state, server, YOU)
    claude, its_token = parts.account(state, server, CLAUDE)
    room = parts.room(state, server, you, claude)
    say(f"✓ Users {you.user_id} and {claude.user_id}, room “{ROOM}”{'' if was_new else ', as you left them'}")
    model_url = _model(stack)
    parts.write_config(state, server, you, claude, room=room, rooms=rooms)
    daemon, isolation = stack.enter_context(parts.daemon(state, parts.daemon_env(os.environ, its_token, model_url)))
    say(f"✓ Daemon (log: {_near(state.daemon_log)}), works in {_near(rooms / ROOM)}")
    _explain(server, you, isolation)
    if sys.stdin.isatty() and sys.stdout.isatty():
        code = chat(parts.chat_argv(server, room, your_token))
    else:
        code = _without_terminal(server, you, room, rooms / ROOM, offline=model_url is not None)
    if daemon.poll() is not None:
        raise DemoFailed("The daemon ended by itself.")
    return code


def _model(stack: ExitStack) -> str | None:
    """The offline model's address, None when the real one answers."""
    if parts.has_key(os.environ):
        say("✓ A key for the model is set: the real Claude answers")
        return None
    model = stack.enter_context(model_thread())
    say("✓ No API key: an offline model answers. With ANTHROPIC_API_KEY set, it is the real one")
    return model.url


def _explain(server: Homeserver, you: Account, isolation: str) -> None:
    say(f"\nElement can join: homeserver {server.url}, user {you.user_id}, password {you.password}")
    say(f"{isolation}\n")


def _without_terminal(server: Homeserver, you: Account, room: str, workspace: Path, *, offline: bool) -> int:
    say("✓ No terminal, so one message is sent")
    well = asyncio.run(show(server.url, you, room, OFFLINE_MESSAGE if offline else REAL_MESSAGE))
    files = sorted(path.name for path in workspace.iterdir()) if workspace.is_dir() else []
    say(f"✓ In {_near(workspace)} there is now: {', '.join(files) or 'nothing'}")
    if not well:
        raise DemoFailed("The message was not answered well.")
    return 0


def _where_to_look(failed: Exception, state: State) -> str:
    log = state.homeserver / "homeserver.log" if isinstance(failed, HomeserverFailed) else state.daemon_log
    if isinstance(failed, SetupFailed):
        return "pip said: " + " ".join(str(failed).splitlines()[-2:])
    return f"The reason is in {_near(log)}. To begin anew: rm -r {_near(state.folder)}"


def _near(path: Path) -> str:
    """A path as it is typed from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    main()
