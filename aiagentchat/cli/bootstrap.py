"""`aiagentchat bootstrap …`."""

import asyncio
import dataclasses
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from aiagentchat.app.owner import owner_of, owner_pid
from aiagentchat.bootstrap.passwords import Passwords, write_secret
from aiagentchat.bootstrap.plan import Step, Verdict
from aiagentchat.bootstrap.run import bootstrap
from aiagentchat.bootstrap.site import Given
from aiagentchat.bootstrap.synapse import KEPT, SETTINGS, SHARED_SECRET, Synapse, files, name_in
from aiagentchat.bootstrap.wanted import ALL, Account, Wanted, Wishes, local_part, server_of, wanted
from aiagentchat.cli.init_options import fits, problem_of
from aiagentchat.cli.problems import complain
from aiagentchat.config.fields import Url, is_name, is_server, is_user
from aiagentchat.config.folders import real
from aiagentchat.config.load import load
from aiagentchat.config.secrets import Secret, closed_folder, load_secrets, read_secret, secret_folder, with_folder
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.core.ids import UserId
from aiagentchat.core.redact import shapes_only
from aiagentchat.observability.log import silence
from aiagentchat.render.hygiene import clean

TO_LOOK_AT = 10
"""Exit code when something that is wanted is not there; as the doctor has it."""
ENDED = 130
"""Exit code after Ctrl-C, as shells have it."""

_SHARED_SECRET, _REGISTRATION_TOKEN, _ADMIN_TOKEN = (
    "--shared-secret-file",
    "--registration-token-file",
    "--admin-token-file",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed."""

    rooms: list[str]
    space: str
    no_space: bool
    registry: bool
    members: list[str]
    encrypt: list[str]
    accounts: list[str]
    admins: list[str]
    shared_secret: Path | None
    registration_token: Path | None
    admin_token: Path | None
    room_version: str


def bootstrap_command(config: Path, options: Options, *, dry_run: bool) -> int:
    """Have at the homeserver, and in config.yaml, what is wanted. Returns the exit code."""
    silence()
    os.umask(0o077)
    told = Printed(dry_run=dry_run)
    try:
        environ = with_folder(config, os.environ)
        settings = load(config, environ)
        _refuse_where_closed(config)
        me = UserId(settings.matrix.user_id)
        wish = wanted(settings, _wishes(options, me, [room.name for room in settings.rooms]))
        passwords = Passwords(secret_folder(config), me, environ)
        given = _given(options, environ)
        url = str(settings.matrix.homeserver)
        runs = owner_pid(settings.data_dir) is not None
        is_whole = asyncio.run(bootstrap(url, wish, given, passwords, config, told=told, dry_run=dry_run))
    except AppError as error:
        return complain(error)
    except KeyboardInterrupt:
        typer.echo("\naiagentchat: ended before it was done; the same command goes on with what is left", err=True)
        return ENDED
    for line in told.summary(
        _kept(wish, passwords), "aiagentchat reload" if runs else "aiagentchat doctor, then aiagentchat run"
    ):
        typer.echo(line)
    return 0 if is_whole else TO_LOOK_AT


def _refuse_where_closed(config: Path) -> None:
    """Without the passwords that are there it would take what is its own for somebody else's. Raises AppError."""
    folder = closed_folder(config)
    if folder is not None:
        owner = owner_of(folder) or "root"
        raise AppError(
            f"{folder} is closed to uid {os.geteuid()}, and passwords are read and written there: do this as {owner}, "
            f"with sudo -u {owner} in front of it. Nothing was changed"
        )


class Printed:
    """Each step on a line of its own."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._counts = dict.fromkeys(("there", "done", "left", "wrong"), 0)
        self._redact = shapes_only()

    def step(self, step: Step) -> None:
        """It is as it is, or would be done."""
        key, word = {
            Verdict.IS_THERE: ("there", "is there"),
            Verdict.TO_DO: ("done", "would do"),
            Verdict.LEFT: ("left", "left out"),
            Verdict.BLOCKED: ("wrong", "cannot do"),
        }[step.verdict]
        self._say(key, word, step.what, step.why)

    def done(self, step: Step) -> None:
        """It was done."""
        self._say("done", "done", step.what)

    def refused(self, step: Step, why: str) -> None:
        """It was tried in vain."""
        self._say("wrong", "refused", step.what, why)

    def waiting(self, seconds: float) -> None:
        """The homeserver asked for it."""
        typer.echo(f"          the homeserver asks to wait {seconds:.0f} s …", err=True)

    def summary(self, kept: list[str], next_: str) -> list[str]:
        """The last lines."""
        counts = self._counts
        if self._dry_run:
            return [
                f"Nothing was changed: {counts['done']} to do, {counts['there']} there, {counts['wrong']} impossible."
            ]
        said = f"{counts['done']} done, {counts['there']} there already"
        said += f", {counts['wrong']} not possible: see above." if counts["wrong"] else "."
        return [said, *kept, *([] if counts["wrong"] else [f"Next: {next_}"])]

    def _say(self, key: str, word: str, what: str, why: str = "") -> None:
        self._counts[key] += 1
        # Part of it comes from outside: the text of an error.
        typer.echo(self._redact(clean(f"{word:<9} {what}{f': {why}' if why else ''}")))


def _kept(wish: Wanted, passwords: Passwords) -> list[str]:
    """Where people find their passwords."""
    theirs = [(account.user, passwords.file_of(account.user)) for account in wish.accounts[1:]]
    return [
        f"{user}: the password is in {file}; give it to its owner, and delete the file"
        for user, file in theirs
        if file.is_file()
    ]


def _wishes(options: Options, me: UserId, known: list[str]) -> Wishes:
    """Raises ConfigError with everything that is wrong."""
    problems = [f"--room: {name!r} is no name; use a-z, 0-9, _ and -" for name in options.rooms if not is_name(name)]
    names = {*known, *options.rooms, ALL}
    problems += [
        f"--encrypt: there is no room {name!r} in config.yaml" for name in options.encrypt if name not in names
    ]
    users = {"--account": options.accounts, "--server-admin": options.admins, "--registry-member": options.members}
    for option, ids in users.items():
        problems += [
            f"{option}: {who!r} is no id; write for example @you:example.org" for who in ids if not is_user(who)
        ]
    elsewhere = [who for who in (*options.accounts, *options.admins) if server_of(UserId(who)) != server_of(me)]
    problems += [
        f"--account: {who} is not on {server_of(me)}, where accounts are made" for who in elsewhere if is_user(who)
    ]
    if problems:
        raise ConfigError(problems)
    admins = [Account(user=UserId(who), is_admin=True) for who in options.admins]
    return Wishes(
        rooms=tuple(options.rooms),
        space=None if options.no_space else options.space or f"Rooms of {local_part(me)}",
        registry=options.registry,
        members=tuple(map(UserId, options.members)),
        encrypt=tuple(options.encrypt),
        accounts=(*(Account(user=UserId(who)) for who in options.accounts if who not in options.admins), *admins),
        room_version=options.room_version,
    )


def _given(options: Options, environ: Mapping[str, str]) -> Given:
    return Given(
        shared_secret=_secret(_SHARED_SECRET, options.shared_secret),
        registration_token=_secret(_REGISTRATION_TOKEN, options.registration_token),
        admin_token=_secret(_ADMIN_TOKEN, options.admin_token),
        access_token=load_secrets(environ).matrix_access_token,
    )


def _secret(option: str, file: Path | None) -> Secret | None:
    return None if file is None else read_secret(option, str(file))


# --- a homeserver


def synapse_config_command(synapse: Synapse, *, force: bool) -> int:
    """Write the settings of a Synapse into its folder. Returns the exit code."""
    folder = real(Path(synapse.folder))
    try:
        if problems := _problems(synapse, folder / SETTINGS):
            raise ConfigError(problems)
        made = files(dataclasses.replace(synapse, folder=str(folder)), secrets.token_bytes)
        for name, text in sorted(made.items()):
            _place(folder / name, text, replace=force and name not in KEPT)
    except AppError as error:
        return complain(error)
    typer.echo(
        f"Synapse takes {folder / SETTINGS}; accounts are made with: "
        f"aiagentchat bootstrap {_SHARED_SECRET} {folder / SHARED_SECRET}"
    )
    return 0


def _problems(synapse: Synapse, there: Path) -> list[str]:
    """What Synapse would not start with, or could never take back."""
    problems = []
    if not is_server(synapse.server_name):
        problems.append(
            f"--server-name: {synapse.server_name!r} is no name of a server; write for example example.org, without "
            "https:// and without a path"
        )
    elif (name := name_in(_text_of(there))) not in ("", synapse.server_name):
        problems.append(
            f"--server-name: {there} is of the server {name}, whose name can never be changed; write that one, or name "
            "another folder with --out"
        )
    if synapse.public_url and (problem := problem_of(synapse.public_url, fits(Url))):
        problems.append(f"--public-url: {problem}")
    return problems


def _text_of(file: Path) -> str:
    """Empty if it is not there. Raises ConfigError."""
    try:
        return file.read_text("utf-8", "replace") if file.is_file() else ""
    except OSError as error:
        raise ConfigError(
            [f"{file}: the file cannot be read: {error.strerror}; do this as its owner, or root"]
        ) from error


def _place(file: Path, text: str, *, replace: bool) -> None:
    if file.is_file() and not replace:
        typer.echo(f"is there  {file}")
        return
    write_secret(file, text.removesuffix("\n"), replace=replace)
    typer.echo(f"written   {file}")
