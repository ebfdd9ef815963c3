"""`cchat chat`."""

import asyncio
import os
import sys
from pathlib import Path

import typer

from aiagentchat.app.daemon import first_app_error
from aiagentchat.cli.chat.plain import plain
from aiagentchat.cli.chat.rest import connect
from aiagentchat.cli.chat.room import open_room
from aiagentchat.cli.chat.settings import ChatSettings, chat_settings
from aiagentchat.cli.chat.talk import Talk
from aiagentchat.cli.chat.terminal import Terminal
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.login import log_in
from aiagentchat.cli.exchange.logins import Login, load, login_file
from aiagentchat.cli.exchange.places import profile_name
from aiagentchat.core.errors import AppError, ConfigError

INTERRUPTED = 130


def chat_command(
    *, homeserver: str | None, user: str | None, room: str | None, token_file: str | None, profile: str | None
) -> int:
    """Chat until the person leaves. Returns the exit code."""
    try:
        settings = chat_settings(
            homeserver=homeserver,
            user=user,
            room=room,
            token_file=token_file,
            environ=os.environ,
            named=_named(profile, homeserver),
            kept=load(_file(None)),
        )
        return asyncio.run(_chat(settings))
    except (KeyboardInterrupt, typer.Abort):
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


def _named(profile: str | None, homeserver: str | None) -> Login | None:
    """The login of that name. Who names one that is not there yet is asked for it, at a terminal."""
    if profile is None:
        return None
    login = load(_file(profile_name(profile)))
    if login is not None:
        return login
    if not sys.stdin.isatty():
        raise NotDone(f"there is no login named {profile}; make one with cchat login --as {profile}", Exit.NO_WAY)
    typer.echo(f"There is no login named {profile} yet.", err=True)
    known = load(_file(None))
    return log_in(
        homeserver=homeserver or (known.homeserver if known else None),
        user=None,
        password_file=None,
        token_file=None,
        profile=profile,
        environ=os.environ,
    )


def _file(profile: str | None) -> Path:
    return login_file(os.environ.get("HOME", ""), profile)


def _complain(error: AppError) -> int:
    for line in error.problems if isinstance(error, ConfigError) else [str(error)]:
        typer.echo(line if line.startswith(" ") else f"cchat: {line}", err=True)
    return error.exit if isinstance(error, NotDone) else error.exit_code
