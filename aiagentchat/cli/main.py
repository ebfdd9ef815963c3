"""`aiagentchat …`: what the operator types."""

from pathlib import Path
from typing import Annotated

import typer

from aiagentchat import __version__


def _examples(*commands: str, codes: str = "") -> str:
    """The end of a command's help: each example on a line of its own, to be copied."""
    return "\n".join(["Examples:", *commands, *(["", f"Exit codes: {codes}."] if codes else [])])


app = typer.Typer(
    name="aiagentchat",
    help="Puts Claude Code into Matrix rooms.",
    epilog=_examples(
        "aiagentchat init",
        "aiagentchat bootstrap --dry-run",
        "aiagentchat doctor",
        "aiagentchat run --config /etc/aiagentchat/config.yaml",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", help="The settings file.", envvar="AIAGENTCHAT_CONFIG", show_default=True, readable=False
    ),
]
DEFAULT_CONFIG = Path("config.yaml")


@app.command(
    epilog=_examples(
        "aiagentchat init",
        "aiagentchat init --homeserver https://matrix.example.org \\",
        "    --user-id @claude:example.org --user @you:example.org --api-key-file key",
        codes="0 written, 10 written and something is not well, else as for errors",
    )
)
def init(  # noqa: PLR0913 - one for each option
    config: Config = DEFAULT_CONFIG,
    homeserver: Annotated[str, typer.Option(help="Where the homeserver is.")] = "",
    user_id: Annotated[str, typer.Option(help="The account that answers there.")] = "",
    user: Annotated[list[str] | None, typer.Option(help="Who may ask it: a Matrix id.")] = None,
    admin: Annotated[list[str] | None, typer.Option(help="Who may also answer for others: a Matrix id.")] = None,
    room: Annotated[
        list[str] | None, typer.Option(help="A name (bootstrap makes it), an alias, an id, or NAME=ID. Else: first.")
    ] = None,
    registry_room: Annotated[str, typer.Option(help="Where agents find each other: an alias or an id.")] = "",
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Accept plain http to another machine.")] = False,
    data_dir: Annotated[str, typer.Option(help="Where the database goes.")] = "",
    workspaces: Annotated[str, typer.Option(help="Where the rooms work.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="Holds the password of the account.")] = None,
    access_token_file: Annotated[Path | None, typer.Option(help="Holds an access token of the account.")] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="Holds a key for the model.")] = None,
    setup_token_file: Annotated[Path | None, typer.Option(help="Holds what claude setup-token printed.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the homeserver.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write a commented config.yaml and the secrets. Asks, unless --homeserver, --user-id and --user are given."""
    from aiagentchat.cli.init import Typed, init_command

    typed = Typed(
        homeserver=homeserver,
        user_id=user_id,
        users=tuple(user or ()),
        admins=tuple(admin or ()),
        rooms=tuple(room or ()),
        registry=registry_room,
        allow_http=allow_http,
        data_dir=data_dir,
        workspaces=workspaces,
        files={
            "MATRIX_PASSWORD": password_file,
            "MATRIX_ACCESS_TOKEN": access_token_file,
            "ANTHROPIC_API_KEY": api_key_file,
            "CLAUDE_CODE_OAUTH_TOKEN": setup_token_file,
        },
    )
    raise typer.Exit(init_command(config, typed, force=force, offline=offline))


@app.command(
    epilog=_examples(
        "aiagentchat run",
        "aiagentchat run --log-format console --log-level DEBUG",
        "aiagentchat run --config /etc/aiagentchat/config.yaml --take-over",
        codes="0 ended as it was asked to, else as for errors",
    )
)
def run(
    config: Config = DEFAULT_CONFIG,
    log_format: Annotated[str, typer.Option(help="json for machines, console for people.")] = "json",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the account from a daemon elsewhere that is gone, or will end.")
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    from aiagentchat.app.harden import harden

    harden()  # before the rest is loaded, which takes a moment in which the environment is open to others
    from aiagentchat.cli.run import run_command

    raise typer.Exit(run_command(config, log_format, log_level, take_over=take_over))


@app.command(
    epilog=_examples(
        "aiagentchat check",
        "aiagentchat check --config /etc/aiagentchat/config.yaml",
        codes="0 all of it can be used, 2 something is wrong, and nothing was changed",
    )
)
def check(config: Config = DEFAULT_CONFIG) -> None:
    """Say what is wrong with the settings, or print what is in force."""
    from aiagentchat.cli.check import check_command

    raise typer.Exit(check_command(config))


@app.command(
    epilog=_examples(
        "aiagentchat reload",
        "aiagentchat check && aiagentchat reload",
        codes="0 it is in force, else as for errors",
    )
)
def reload(config: Config = DEFAULT_CONFIG) -> None:
    """Make the running daemon read its settings again. Turns that run go on."""
    from aiagentchat.cli.reload import reload_command

    raise typer.Exit(reload_command(config))


@app.command(
    epilog=_examples(
        "aiagentchat drain",
        "aiagentchat drain --wait 1h",
        codes="0 all was finished, or no daemon runs, 1 something was cut short",
    )
)
def drain(
    config: Config = DEFAULT_CONFIG,
    wait: Annotated[str, typer.Option(help="How long running turns may take: 30s, 15m, 1h, or seconds.")] = "15m",
) -> None:
    """Let the running daemon finish its turns, begin no new ones, and end it."""
    from aiagentchat.cli.drain import drain_command

    raise typer.Exit(drain_command(config, wait))


@app.command(
    epilog=_examples("aiagentchat healthcheck", "aiagentchat healthcheck --ready", codes="0 it is, 1 it is not")
)
def healthcheck(
    config: Config = DEFAULT_CONFIG,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Whether a message that comes now would be answered, not only whether it lives."),
    ] = False,
) -> None:
    """Ask the running daemon whether it lives. For containers, units and scripts."""
    from aiagentchat.cli.healthcheck import healthcheck_command

    raise typer.Exit(healthcheck_command(config, ready=ready))


@app.command(
    "fetch-cli", epilog=_examples("aiagentchat fetch-cli", "aiagentchat fetch-cli --yes --from /media/usb/wheels")
)
def fetch_cli(
    config: Config = DEFAULT_CONFIG,
    wheels: Annotated[
        Path | None, typer.Option("--from", help="A folder with the wheel; then no index is asked.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence that is shown, and do not ask.")] = False,
) -> None:
    """Fetch the Claude Code program, in the pinned version and by its hash, after naming its licence."""
    from aiagentchat.cli.fetch_cli import fetch_cli_command

    raise typer.Exit(fetch_cli_command(config, wheels, yes=yes))


@app.command(
    epilog=_examples(
        "aiagentchat doctor",
        "aiagentchat doctor --only attacks",
        "aiagentchat doctor --json | jq .",
        codes="0 all is well, 10 there is something to look at, 20 something is wrong",
    )
)
def doctor(
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print id, verdict and detail of each row as JSON.")] = False,
    only: Annotated[str | None, typer.Option(help="checks or attacks; both when not given.")] = None,
) -> None:
    """Look whether everything is in order here, and attack the isolation for real, on decoys."""
    from aiagentchat.cli.doctor import doctor_command

    raise typer.Exit(doctor_command(config, only, as_json=as_json))


@app.command(
    epilog=_examples(
        "aiagentchat audit --since 2h",
        "aiagentchat audit --room backend --kind refused",
        "aiagentchat audit --json --limit 100000 | jq .",
    )
)
def audit(  # noqa: PLR0913 - one for each option
    config: Config = DEFAULT_CONFIG,
    room: Annotated[str | None, typer.Option(help="Only of this room: its name or its id.")] = None,
    since: Annotated[str | None, typer.Option(help="Only since then: 2h, 7d, or 2026-11-25T14:00.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only of this person: @anna:example.org.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind: asked, refused, approved …")] = None,
    limit: Annotated[int, typer.Option(help="At most so many lines, the newest.", min=1, max=100_000)] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
) -> None:
    """Say who asked, was refused, approved, stopped or changed what, oldest first."""
    from aiagentchat.cli.audit import Wish, audit_command

    wish = Wish(room=room, since=since, actor=actor, kind=kind)
    raise typer.Exit(audit_command(config, wish, limit=limit, as_json=as_json, follow=follow))


@app.command(
    epilog=_examples(
        "aiagentchat why '$Zk3…'",
        "aiagentchat why 'https://matrix.to/#/!abc:hs/$Zk3…'",
        "aiagentchat why '$Zk3…' --json | jq .verdict",
        codes="0 it is known, 1 it is not, 2 it is no id, else as for errors",
    )
)
def why(
    event: Annotated[
        str,
        typer.Argument(
            help="The message: its event id or a link to it, in single quotes; or what the gateway calls it, or a task."
        ),
    ],
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
    content: Annotated[bool, typer.Option("--content", help="Print also what was said, as far as it is kept.")] = False,
) -> None:
    """Say what became of one message, step by step, and why it was not answered."""
    from aiagentchat.cli.why.command import why_command

    raise typer.Exit(why_command(config, event, as_json=as_json, content=content))


@app.command(
    epilog=_examples(
        "aiagentchat logs --room backend --since 1h",
        "aiagentchat logs --follow --level warning",
        "aiagentchat logs daemon.log --event 'turn.*'",
        "docker compose logs --no-log-prefix -f aiagentchat | aiagentchat logs -",
        codes="0 done, 1 the log cannot be read, 2 options, 130 Ctrl-C",
    )
)
def logs(  # noqa: PLR0913 - one for each option
    source: Annotated[
        str | None, typer.Argument(metavar="FILE", help="JSON lines; - for the standard input. Else the journal.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    room: Annotated[str | None, typer.Option(help="Only of this room: its name or its id.")] = None,
    since: Annotated[str | None, typer.Option(help="Only since then: 30m, 2h, 7d, or 2026-11-25T14:00.")] = None,
    level: Annotated[str, typer.Option(help="At least this: debug, info, warning or error.")] = "debug",
    event: Annotated[
        list[str] | None, typer.Option(help="Only this event, with * for any part: 'turn.*'. May be given again.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    unit: Annotated[str, typer.Option(help="Whose journal is read.")] = "aiagentchat",
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are.")] = False,
) -> None:
    """Print the daemon's log for people, from a file, a pipe or the journal of systemd."""
    from aiagentchat.cli.logs.command import Wish, logs_command

    events = tuple(event or ())
    wish = Wish(source=source, room=room, since=since, level=level, events=events, unit=unit, follow=follow)
    raise typer.Exit(logs_command(config, wish, as_json=as_json))


db = typer.Typer(
    help="Back up, check and shrink the database.",
    epilog=_examples("aiagentchat db backup ledger-monday.db", "aiagentchat db check", "aiagentchat db vacuum"),
    no_args_is_help=True,
)
app.add_typer(db, name="db")


@db.command(epilog=_examples("aiagentchat db backup /var/backups/ledger.db --force"))
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes.")],
    config: Config = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Copy the database, also while the daemon runs, and read the copy through."""
    from aiagentchat.cli.db import backup_command

    raise typer.Exit(backup_command(config, file, force=force))


@db.command("check", epilog=_examples("aiagentchat db check --config /etc/aiagentchat/config.yaml"))
def check_database(config: Config = DEFAULT_CONFIG) -> None:
    """Read the whole database and say what is wrong with it, also while the daemon runs."""
    from aiagentchat.cli.db import check_command

    raise typer.Exit(check_command(config))


@db.command(epilog=_examples("aiagentchat drain && aiagentchat db vacuum"))
def vacuum(config: Config = DEFAULT_CONFIG) -> None:
    """Give the space of what was pruned back to the disk. The daemon must not run."""
    from aiagentchat.cli.db import vacuum_command

    raise typer.Exit(vacuum_command(config))


rooms = typer.Typer(help="List the rooms, or take one away that was made in chat.")
app.add_typer(rooms, name="rooms")


@rooms.callback(
    invoke_without_command=True,
    epilog=_examples("aiagentchat rooms", "aiagentchat rooms --json | jq .", "aiagentchat rooms remove backend"),
)
def list_rooms(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects as JSON.")] = False,
) -> None:
    """List every room: those of the settings and those that were made in chat."""
    if context.invoked_subcommand is not None:
        return
    from aiagentchat.cli.rooms import rooms_command

    raise typer.Exit(rooms_command(config, as_json=as_json))


@rooms.command("remove", epilog=_examples("aiagentchat rooms remove backend"))
def remove_room(
    room: Annotated[str, typer.Argument(help="Its id or its name.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Take a room away that was made in chat; its folder stays. A daemon that runs leaves it."""
    from aiagentchat.cli.rooms import remove_command

    raise typer.Exit(remove_command(config, room))


keys = typer.Typer(
    help="The account's identity: by it other people's clients know that this device may read and write.",
    epilog=_examples("aiagentchat keys status", "aiagentchat keys export recovery.key", "aiagentchat keys restore"),
    no_args_is_help=True,
)
app.add_typer(keys, name="keys")


@keys.command(
    epilog=_examples(
        "aiagentchat keys status",
        "aiagentchat keys status --json | jq .signed",
        codes="0 all is well, 10 something is to be done, else as for errors",
    )
)
def status(
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Say whether this device is signed, and whether its keys are here. Changes nothing, also while the daemon runs."""
    from aiagentchat.cli.keys import status_command

    raise typer.Exit(status_command(config, as_json=as_json))


@keys.command(
    epilog=_examples(
        "aiagentchat keys export recovery.key",
        "aiagentchat keys export --show",
        codes="0 done, 4 a daemon runs, 9 there is nothing to export, or secret storage is there already",
    )
)
def export(
    file: Annotated[Path | None, typer.Argument(help="Where the recovery key goes, for you alone.")] = None,
    config: Config = DEFAULT_CONFIG,
    show: Annotated[bool, typer.Option("--show", help="Print the recovery key instead.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Put a new recovery key in the place of the account's present one.")
    ] = False,
) -> None:
    """Make a recovery key, with which the identity can be had back from the homeserver. The daemon must not run."""
    from aiagentchat.cli.keys import export_command

    raise typer.Exit(export_command(config, file, show=show, force=force))


@keys.command(
    epilog=_examples(
        "aiagentchat keys restore",
        "aiagentchat keys restore --file recovery.key",
        codes="0 done, 4 a daemon runs, 9 the recovery key does not fit, or there is nothing to restore",
    )
)
def restore(
    config: Config = DEFAULT_CONFIG,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Holds the recovery key, readable for you alone; else it is asked for."),
    ] = None,
) -> None:
    """Get the identity back with its recovery key, or the passphrase. The daemon must not run."""
    from aiagentchat.cli.keys import restore_command

    raise typer.Exit(restore_command(config, file))


bootstrap = typer.Typer(help="Make what the daemon needs at the homeserver: account, rooms, space, power, invites.")
app.add_typer(bootstrap, name="bootstrap")


@bootstrap.callback(
    invoke_without_command=True,
    epilog=_examples(
        "aiagentchat bootstrap --dry-run",
        "aiagentchat bootstrap --room backend",
        "aiagentchat bootstrap --shared-secret-file file --account @you:example.org",
        codes="0 all of it is there, 10 something is not possible, else as for errors",
    ),
)
def make_what_is_needed(  # noqa: PLR0913 - one for each option
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print each step, and change nothing.")] = False,
    room: Annotated[list[str] | None, typer.Option(help="A room to make and to put into the settings: a name.")] = None,
    space: Annotated[str, typer.Option(help="What the space is called that has the rooms in it.")] = "",
    no_space: Annotated[bool, typer.Option("--no-space", help="Make no space.")] = False,
    registry: Annotated[
        bool, typer.Option("--registry", help="Make a registry room if the settings name none.")
    ] = False,
    registry_member: Annotated[
        list[str] | None, typer.Option(help="Invite the account of another daemon into the registry room.")
    ] = None,
    encrypt: Annotated[
        list[str] | None, typer.Option(help="Encrypt this room, by its name, or all. There is no way back.")
    ] = None,
    account: Annotated[list[str] | None, typer.Option(help="Also make an account for this person.")] = None,
    server_admin: Annotated[
        list[str] | None, typer.Option(help="The same, as an admin of the homeserver, who lifts the rate limit.")
    ] = None,
    shared_secret_file: Annotated[
        Path | None, typer.Option(help="Makes accounts: Synapse's registration_shared_secret.")
    ] = None,
    registration_token_file: Annotated[
        Path | None, typer.Option(help="Makes accounts: a registration token of the homeserver.")
    ] = None,
    admin_token_file: Annotated[
        Path | None, typer.Option(help="Makes accounts, and lifts the rate limit: an access token of a Synapse admin.")
    ] = None,
    room_version: Annotated[
        str, typer.Option(help="Of rooms that are made; without it, the homeserver's choice.")
    ] = "",
) -> None:
    """Make what the daemon needs at the homeserver. What is there stays; doing it again changes nothing."""
    if context.invoked_subcommand is not None:
        return
    from aiagentchat.cli.bootstrap import Options, bootstrap_command

    options = Options(
        rooms=room or [],
        space=space,
        no_space=no_space,
        registry=registry,
        members=registry_member or [],
        encrypt=encrypt or [],
        accounts=account or [],
        admins=server_admin or [],
        shared_secret=shared_secret_file,
        registration_token=registration_token_file,
        admin_token=admin_token_file,
        room_version=room_version,
    )
    raise typer.Exit(bootstrap_command(config, options, dry_run=dry_run))


@bootstrap.command(
    epilog=_examples("aiagentchat bootstrap synapse-config --server-name example.org --out synapse"),
)
def synapse_config(
    server_name: Annotated[str, typer.Option(help="The part of ids after the colon. It can never be changed.")],
    out: Annotated[Path, typer.Option(help="The folder for the settings, and for all that Synapse keeps.")],
    public_url: Annotated[str, typer.Option(help="How clients reach it; without it, on this machine.")] = "",
    bind: Annotated[str, typer.Option(help="The address that it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port that it listens on.", min=1, max=65_535)] = 8008,
    federation: Annotated[bool, typer.Option("--federation", help="Let other homeservers talk to it.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write the settings anew. Keys and secrets stay in any case.")
    ] = False,
) -> None:
    """Write the settings of a Synapse that is closed: no federation, no registration but by a secret."""
    from aiagentchat.bootstrap.synapse import Synapse
    from aiagentchat.cli.bootstrap import synapse_config_command

    synapse = Synapse(
        server_name=server_name, folder=str(out), public_url=public_url, bind=bind, port=port, federation=federation
    )
    raise typer.Exit(synapse_config_command(synapse, force=force))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"aiagentchat {__version__}")


def main() -> None:
    """The console script."""
    app()
