"""`cchat login`: an account of one's own, for where there is no gateway, and for `cchat chat`."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from aiagentchat.cli.exchange.console import Console, complain
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.files import config_values, read_secret
from aiagentchat.cli.exchange.homeserver import Homeserver, MatrixSaysNo
from aiagentchat.cli.exchange.logins import Login, keep, load, login_file
from aiagentchat.cli.exchange.places import CONFIG, lies_there, profile_name
from aiagentchat.cli.safe import safe
from aiagentchat.render.hygiene import one_line

_SHOWN = 200


def login_command(
    console: Console,
    *,
    homeserver: str | None,
    user: str | None,
    password_file: str | None,
    token_file: str | None,
    profile: str | None,
    forget: bool,
) -> int:
    """`cchat login`."""
    try:
        if forget:
            gone = forget_login(profile, os.environ)
            console.say(f"The login of {safe(gone.user_id)} has ended." if gone else "There was no login.")
            return Exit.DONE
        kept = log_in(
            homeserver=homeserver,
            user=user,
            password_file=password_file,
            token_file=token_file,
            profile=profile,
            environ=os.environ,
        )
    except NotDone as error:
        return complain(error, console)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    console.say(f"You are {safe(kept.user_id)} at {safe(kept.homeserver)}.")
    return Exit.DONE


def log_in(
    *,
    homeserver: str | None,
    user: str | None,
    password_file: str | None,
    token_file: str | None,
    profile: str | None,
    environ: Mapping[str, str],
) -> Login:
    """Log in, or take a token, and keep it. Raises NotDone."""
    file = login_file(environ.get("HOME", ""), profile_name(profile))
    before = load(file)
    url = homeserver or _asked("Homeserver", "--homeserver")
    if token_file:
        login = _of_token(url, read_secret(Path(token_file), "--token-file"), user)
    else:
        user = user or _asked("User", "--user")
        login = _of_password(url, user, _password(password_file))
    try:
        _refuse_the_daemons(login, environ)
    except NotDone:
        if not token_file:
            _log_out(login)
        raise
    keep(file, login)
    if before is not None and before.device_id and before.device_id != login.device_id:
        _log_out(before)
    return login


def forget_login(profile: str | None, environ: Mapping[str, str]) -> Login | None:
    """Log out, and remove what was kept; None: nothing was."""
    file = login_file(environ.get("HOME", ""), profile_name(profile))
    login = load(file)
    if login is not None:
        _log_out(login)
        file.unlink()
    return login


def _of_token(url: str, token: str, user: str | None) -> Login:
    who = Homeserver(url, token).get("/account/whoami")
    me = str(who.get("user_id", ""))
    if user and user != me:
        raise NotDone(f"this token belongs to {one_line(me, _SHOWN)}, not to {one_line(user, _SHOWN)}", Exit.USAGE)
    return Login(homeserver=url.rstrip("/"), user_id=me, device_id=str(who.get("device_id", "")), access_token=token)


def _of_password(url: str, user: str, password: str) -> Login:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": _device_name(),
    }
    try:
        got = Homeserver(url, None).post("/login", body)
    except MatrixSaysNo as no:
        raise NotDone(f"the homeserver does not let {one_line(user, _SHOWN)} in ({no})", Exit.LOGIN) from no
    return Login(
        homeserver=url.rstrip("/"),
        user_id=str(got.get("user_id", "")),
        device_id=str(got.get("device_id", "")),
        access_token=str(got.get("access_token", "")),
    )


def _refuse_the_daemons(login: Login, environ: Mapping[str, str]) -> None:
    """Two that speak as one account take each other's words for their own."""
    file = Path(environ.get(CONFIG) or "config.yaml")
    if not lies_there(file):
        return
    try:
        matrix = config_values(file).get("matrix")
    except NotDone:
        if environ.get(CONFIG):
            raise
        return  # it was only found here, and is another program's or another user's
    if isinstance(matrix, Mapping) and matrix.get("user_id") == login.user_id:
        raise NotDone(
            f"{login.user_id} is the account of the daemon of {file}; give cchat one of its own. Nothing was kept",
            Exit.USAGE,
        )


def _log_out(login: Login) -> None:
    try:
        Homeserver(login.homeserver, login.access_token).post("/logout", {})
    except NotDone as error:
        typer.echo(f"cchat: the login of {login.user_id} could not be ended there ({error})", err=True)


def _asked(what: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise NotDone(f"{option} is missing", Exit.USAGE)
    return str(typer.prompt(what, err=True))


def _password(file: str | None) -> str:
    if file:
        return read_secret(Path(file), "--password-file")
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, err=True))
    password = os.read(0, 4096).decode("utf-8", "replace").rstrip("\r\n")
    if not password:
        raise NotDone("there is no password: type it, give it on stdin, or give --password-file FILE", Exit.USAGE)
    return password


def _device_name() -> str:
    """What the account's owner reads in the list of devices."""
    return f"cchat on {one_line(socket.gethostname(), _SHOWN)}"
