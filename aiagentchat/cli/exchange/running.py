"""A command from its start to its exit code: whom it asks, and what is said when that does not work."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aiagentchat.cli.exchange.console import SHOWN, Console, complain, unwritable
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.gateway import Gateway, NobodyThere
from aiagentchat.cli.exchange.logins import Login
from aiagentchat.cli.exchange.places import AtGateway, Way, find
from aiagentchat.cli.exchange.wishes import Speaks
from aiagentchat.cli.safe import safe
from aiagentchat.render.hygiene import one_line, visible

if TYPE_CHECKING:
    from aiagentchat.cli.exchange.direct import Direct


def run(way: Way, console: Console, do: Callable[[Speaks, Console], int]) -> int:
    """Find whom to ask, do it, and return the exit code."""
    try:
        code = _asked(way, lambda speaks: do(speaks, console))
        sys.stdout.flush()
    except NotDone as error:
        return complain(error, console)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OSError as error:
        unwritable(error)
        return Exit.FAILED
    return code


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it is gone: there are no settings in it
        return Path()


def _asked(way: Way, do: Callable[[Speaks], int]) -> int:
    found = find(way, os.environ, _here())
    if isinstance(found, AtGateway):
        try:
            return do(Gateway(found.place, found.token))
        except NobodyThere:
            if found.otherwise is None:
                raise
        return do(_direct(found.otherwise))
    return do(_direct(found.login))


def _direct(login: Login) -> "Direct":
    from aiagentchat.cli.exchange.direct import Direct
    from aiagentchat.cli.exchange.homeserver import Homeserver

    say_direct(login)
    return Direct(Homeserver(login.homeserver, login.access_token), login.user_id)


def say_direct(login: Login) -> None:
    """That there is no gateway, and as whom we speak."""
    typer.echo(f"cchat: without a gateway, as {one_line(safe(login.user_id), SHOWN)}", err=True)


def daemon_of(speaks: Speaks) -> Gateway:
    """What only a daemon keeps. Raises NotDone."""
    if isinstance(speaks, Gateway):
        return speaks
    raise NotDone(
        "only a daemon keeps this: run the command where its config.yaml is, or give --config, or --gateway and "
        "--token-file",
        Exit.NO_WAY,
    )


def address_of(speaks: Speaks, to: str | None, *, waits: bool) -> str | None:
    """The address of somebody who may be named shortly. Who waits for an answer and names nobody asks the daemon."""
    if to is None:
        if not (waits and isinstance(speaks, Gateway)):
            return None
        here = speaks.daemon()
        return f"{here.get('user')}/{here['instance']}" if here.get("instance") else str(here.get("user"))
    if to.startswith("@"):
        return to
    named = [each for each in speaks.who() if each.get("name") == to]
    found = [each for each in named if each.get("alive")] or named
    if len(found) == 1:
        return str(found[0].get("address"))
    if not found:
        raise NotDone(f"--to {visible(to)}: nobody in the registry is called so; cchat who lists them", Exit.UNKNOWN)
    several = ", ".join(safe(str(each.get("address"))) for each in found)
    raise NotDone(f"--to {visible(to)}: several are called so; choose one of {several}", Exit.USAGE)
