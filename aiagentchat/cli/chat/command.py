"""`cchat chat`."""

import asyncio
import os
import sys

import typer

from aiagentchat.app.daemon import first_app_error
from aiagentchat.cli.chat.plain import plain
from aiagentchat.cli.chat.rest import connect
from aiagentchat.cli.chat.room import open_room
from aiagentchat.cli.chat.settings import ChatSettings, chat_settings
from aiagentchat.cli.chat.talk import Talk
from aiagentchat.cli.chat.terminal import Terminal
from aiagentchat.core.errors import AppError, ConfigError

INTERRUPTED = 130


def chat_command(*, homeserver: str | None, user: str | None, room: str | None, token_file: str | None) -> int:
    """Chat until the person leaves. Returns the exit code."""
    try:
        settings = chat_settings(homeserver=homeserver, user=user, room=room, token_file=token_file, environ=os.environ)
        return asyncio.run(_chat(settings))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (AppError, ExceptionGroup) as error:
        if found := first_app_error(error):
            return _complain(found)
        if isinstance(error, ExceptionGroup) and error.subgroup(BrokenPipeError):
            # Whoever read our output has left. Python would complain once more while it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        raise


async def _chat(settings: ChatSettings) -> int:
    async with connect(settings.homeserver, settings.token) as rest:
        room = await open_room(rest, user=settings.user, wanted=settings.room)
        if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            return await Talk(room, Terminal(sys.stdin.fileno(), sys.stdout.fileno())).run()
        return await plain(room)


def _complain(error: AppError) -> int:
    for line in error.problems if isinstance(error, ConfigError) else [str(error)]:
        typer.echo(line if line.startswith(" ") else f"cchat: {line}", err=True)
    return error.exit_code
