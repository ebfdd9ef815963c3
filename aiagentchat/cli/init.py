"""`aiagentchat init`."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from getpass import getpass
from pathlib import Path
from typing import Any

import typer

from aiagentchat.bootstrap.api import connect
from aiagentchat.bootstrap.begin import FIRST_ROOM, KEYS, Answers, Looked, check, settings_text
from aiagentchat.bootstrap.passwords import write_secret
from aiagentchat.bootstrap.wanted import server_of
from aiagentchat.cli.init_options import (
    Fits,
    by_option,
    fits,
    fits_room,
    problem_of,
    problem_of_key,
    problems_of,
    remark_on_key,
    somebody_else_than,
)
from aiagentchat.cli.problems import complain
from aiagentchat.config.fields import Url, User
from aiagentchat.config.load import load
from aiagentchat.config.secrets import (
    FOLDER,
    Secret,
    load_secrets,
    missing_matrix_login,
    missing_model_key,
    read_secret,
    secret_folder,
    with_folder,
)
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.core.ids import UserId
from aiagentchat.observability.log import silence
from aiagentchat.render.hygiene import clean

TO_LOOK_AT = 10
"""Exit code when all is written, and something that was looked at is not well; as the doctor has it."""
ENDED = 130
"""Exit code after Ctrl-C, as shells have it."""

_OPTIONS = {
    "MATRIX_PASSWORD": "--password-file",
    "MATRIX_ACCESS_TOKEN": "--access-token-file",
    "ANTHROPIC_API_KEY": "--api-key-file",
    "CLAUDE_CODE_OAUTH_TOKEN": "--setup-token-file",
}
"""The secrets that are asked for, and the options that stand for an answer."""
_KEY, _SETUP_TOKEN = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
_PASSWORD = "MATRIX_PASSWORD"  # noqa: S105 - a name

Ask = Callable[[str, str], str]
"""Called with a question and what Enter answers."""
AskHidden = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was given by options; empty: not given."""

    homeserver: str = ""
    user_id: str = ""
    users: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    registry: str = ""
    allow_http: bool = False
    data_dir: str = ""
    workspaces: str = ""
    files: Mapping[str, Path | None]
    """Of secrets, by their variables."""

    @property
    def is_enough(self) -> bool:
        """Whether nobody has to be asked."""
        return bool(self.homeserver and self.user_id and self.users)


def init_command(config: Path, typed: Typed, *, force: bool, offline: bool) -> int:
    """Write config.yaml and the secrets. Returns the exit code."""
    silence()
    try:
        given = {name: read_secret(_OPTIONS[name], str(file)) for name, file in typed.files.items() if file is not None}
        if wrong := [f"{_OPTIONS[name]}: {said}" for name, said in _said_of(given, problem_of_key)]:
            raise ConfigError(wrong)
        _refuse_to_overwrite(config, given, force=force)
        if not typed.is_enough:
            if not sys.stdin.isatty():
                raise ConfigError(_missing(typed))
            typed, asked = interview(typed, given, _ask, getpass, say=typer.echo)
            given |= asked
            _refuse_to_overwrite(config, given, force=force)
        answers = _answers(typed)
        if problems := problems_of(answers):
            raise ConfigError(problems)
        _write(config, answers, given, force=force)
        looked = Looked() if offline else asyncio.run(_look(answers, config))
    except AppError as error:
        return complain(error)
    except (KeyboardInterrupt, EOFError):
        typer.echo("\naiagentchat: ended before it was done", err=True)
        return ENDED
    for finding in looked.findings:
        typer.echo(clean(f"{'✓' if finding.is_well else '✗'} {finding.said}"))
    for line in [*(said for _, said in _said_of(given, remark_on_key)), *_what_comes_next(config, answers, looked)]:
        typer.echo(line)
    return 0 if all(finding.is_well for finding in looked.findings) else TO_LOOK_AT


def interview(
    typed: Typed, given: Mapping[str, Secret], ask: Ask, ask_hidden: AskHidden, *, say: Callable[[str], Any]
) -> tuple[Typed, dict[str, Secret]]:
    """Ask for what was not given, and for each again until it makes sense."""

    def until(question: str, otherwise: str, kind: Fits) -> tuple[str, ...]:
        while True:
            words = tuple(ask(question, otherwise).replace(",", " ").split())
            problem = next((problem for word in words if (problem := problem_of(word, kind))), "")
            if words and not problem:
                return words
            say(problem or "This one is needed.")

    homeserver = typed.homeserver or until("Where is the homeserver?", "http://127.0.0.1:8008", fits(Url))[0]
    user_id = typed.user_id or until("Which account answers there? (not your own)", "@claude:localhost", fits(User))[0]
    server = server_of(UserId(user_id))
    users = typed.users or until("Who may ask it? (Matrix ids)", f"@you:{server}", somebody_else_than(user_id))
    if not typed.rooms:
        say("Rooms: a short name for each that is to be made, or the id or alias of one that is there.")
    rooms = typed.rooms or until("Which rooms?", FIRST_ROOM, fits_room)
    secrets: dict[str, Secret] = {}
    if not given.keys() & {_PASSWORD, "MATRIX_ACCESS_TOKEN"}:
        secrets |= _hidden(_PASSWORD, ask_hidden(f"Password of {user_id} (Enter: none yet, bootstrap makes one): "))
    if not given.keys() & {_KEY, _SETUP_TOKEN}:
        say(KEYS)
        key = ask_hidden("Key or setup token (Enter: later): ").strip()
        secrets |= _hidden(_SETUP_TOKEN if key.startswith("sk-ant-oat") else _KEY, key)
    return replace(typed, homeserver=homeserver, user_id=user_id, users=users, rooms=rooms), secrets


def _hidden(name: str, value: str) -> dict[str, Secret]:
    value = value.strip()
    if not value:
        return {}
    if not value.isprintable():
        raise ConfigError([f"{name}: the secret must be one line of text"])
    return {name: Secret(value)}


def _ask(question: str, otherwise: str) -> str:
    return input(f"{question} [{otherwise}] ").strip() or otherwise


def _said_of(secrets: Mapping[str, Secret], say: Callable[[str, str], str]) -> list[tuple[str, str]]:
    """What there is to say of them, by their variables."""
    return [(name, said) for name, secret in secrets.items() if (said := say(name, secret.reveal()))]


def _missing(typed: Typed) -> list[str]:
    values = {"--homeserver": typed.homeserver, "--user-id": typed.user_id, "--user": typed.users}
    return [f"{option}: there is nobody to ask, so this is needed" for option, value in values.items() if not value]


def _answers(typed: Typed) -> Answers:
    return Answers(
        homeserver=typed.homeserver,
        user_id=typed.user_id,
        users=typed.users,
        admins=typed.admins,
        rooms=typed.rooms or (FIRST_ROOM,),
        registry=typed.registry,
        allow_http=typed.allow_http,
        data_dir=typed.data_dir,
        workspaces=typed.workspaces,
    )


def _refuse_to_overwrite(config: Path, secrets: Mapping[str, Secret], *, force: bool) -> None:
    files = [config, *(secret_folder(config) / name for name in secrets)]
    there = [file for file in files if os.path.lexists(file)]
    if there and not force:
        raise ConfigError([f"{file} is there already, and is not overwritten without --force" for file in there])


def _write(config: Path, answers: Answers, secrets: Mapping[str, Secret], *, force: bool) -> None:
    """Everything, after the settings were found to be good. Raises ConfigError."""
    new = config.with_name(f".{config.name}.new")
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(settings_text(answers), encoding="utf-8")
        if config.exists():  # as another user reads it, perhaps, whose daemon it is
            before = config.stat()
            os.chown(new, before.st_uid, before.st_gid)
            new.chmod(before.st_mode & 0o7777)
        try:
            load(new, os.environ)
        except ConfigError as error:
            raise ConfigError([by_option(problem, str(new), answers) for problem in error.problems]) from None
        for name, secret in secrets.items():
            write_secret(secret_folder(config) / name, secret.reveal(), replace=force)
        new.replace(config)
    except OSError as error:
        raise ConfigError([f"{config} cannot be written: {error.strerror}"]) from error
    finally:
        new.unlink(missing_ok=True)
    typer.echo(f"written   {config}")
    for name in secrets:
        typer.echo(f"written   {secret_folder(config) / name}")


async def _look(answers: Answers, config: Path) -> Looked:
    secrets = load_secrets(with_folder(config, os.environ))

    def waiting(seconds: float) -> None:
        typer.echo(f"The homeserver asks to wait {seconds:.0f} s …", err=True)

    async with connect(answers.homeserver.rstrip("/"), waiting) as api:
        return await check(api, answers, secrets.matrix_password, secrets.matrix_access_token)


def _what_comes_next(config: Path, answers: Answers, looked: Looked) -> list[str]:
    """The commands, and what is still missing for them."""
    secrets = load_secrets(with_folder(config, os.environ))
    option = "" if config == Path("config.yaml") else f" --config {shlex.quote(str(config))}"
    lines = []
    if missing_model_key(secrets):
        lines += [KEYS, f"Put it into {FOLDER}/{_KEY} or {FOLDER}/{_SETUP_TOKEN} beside {config.name} (chmod 600)."]
    if looked.needs_bootstrap or missing_matrix_login(secrets):
        lines.append(
            f"Next: aiagentchat bootstrap --dry-run{option}, which says what is to be made for {answers.user_id}"
        )
    else:
        lines.append(f"Next: aiagentchat run{option}")
    return lines
