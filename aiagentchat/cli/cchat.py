"""`cchat …`: what people, scripts and agents type to talk in rooms.

Nothing is imported here that a command may not need: `cchat --help` is there at once.
"""

import os
import sys
from enum import StrEnum
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from aiagentchat.cli.exchange.places import Way

app = typer.Typer(
    name="cchat",
    help="Talks in Matrix rooms from a terminal: with people, with agents, through a daemon or without one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Kind(StrEnum):
    """What a message is for."""

    MESSAGE = "message"
    TASK = "task"
    QUESTION = "question"
    STATUS = "status"
    ANSWER = "answer"


class AnyKind(StrEnum):
    """What a message of the history may be for."""

    MESSAGE = "message"
    TASK = "task"
    QUESTION = "question"
    STATUS = "status"
    ANSWER = "answer"
    REFUSED = "refused"
    EXPIRED = "expired"


class Step(StrEnum):
    """What has become of a task."""

    ACCEPTED = "accepted"
    PROGRESS = "progress"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _given(value: str | None) -> str | None:
    """An empty text comes of a variable that is not set: it means nothing, and not everything."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty, so nothing was done")
    return value


GatewayOption = Annotated[
    str | None,
    typer.Option(
        "--gateway", help="A gateway: http://127.0.0.1:8870, or its socket.", envvar="AIAGENTCHAT_GATEWAY", metavar="AT"
    ),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file", help="A file with the gateway's token.", envvar="AIAGENTCHAT_GATEWAY_TOKEN_FILE", metavar="FILE"
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        help="The daemon's settings; else config.yaml here.",
        envvar="AIAGENTCHAT_CONFIG",
        metavar="FILE",
    ),
]
As = Annotated[
    str | None, typer.Option("--as", help="A login of that name, and no gateway.", envvar="CCHAT_AS", metavar="NAME")
]
Directly = Annotated[bool, typer.Option("--direct", help="Your own login, also where there is a gateway.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, and nothing else.")]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Text = Annotated[list[str] | None, typer.Argument(help="The text; without it, or with -, it comes on stdin.")]
Room = Annotated[str, typer.Argument(help="A room: its name, alias or id.", metavar="ROOM", callback=_given)]
OneRoom = Annotated[str | None, typer.Option("--room", help="Only of this room.", metavar="ROOM", callback=_given)]
Before = Annotated[
    str | None,
    typer.Option("--before", help="The page before, as the last one said.", metavar="PLACE", callback=_given),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to", help="Whom it is for: @user:server, @user:server/instance, or an instance's name.", metavar="TO"
    ),
]
Key = Annotated[
    str | None, typer.Option("--key", help="Of its own: what was sent with it is not sent again.", metavar="KEY")
]
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait: 30s, 10m, 2h.", metavar="TIME")]
Thread = Annotated[
    str | None, typer.Option("--thread", help="The first event of the thread that it belongs into.", metavar="EVENT")
]
Expires = Annotated[
    str | None, typer.Option("--expires", help="Not to be begun later than that: 10m, or a moment.", metavar="TIME")
]
Budget = Annotated[
    int | None, typer.Option("--budget", help="How many turns may follow from it.", min=0, max=1000, metavar="N")
]


def _way(gateway: str | None, token_file: str | None, config: str | None, profile: str | None, direct: bool) -> "Way":
    from aiagentchat.cli.exchange.places import Way

    return Way(gateway=gateway, token_file=token_file, config=config, profile=profile, direct=direct)


@app.callback(
    epilog="""\b
Examples:
  cchat who
  cchat send backend --to workshop 'Run the tests, please.' --wait
  cchat chat --room backend
  cchat --install-completion

\b
Exit codes:
0 done, 1 failed, 2 usage, 3 login, 4 unreachable, 5 encrypted,
6 no_answer, 7 unknown, 8 not_allowed, 9 conflict, 10 full, 11 halted,
12 unavailable, 13 refused, 14 expired, 15 no_way, 16 uncertain,
130 interrupted
"""
)
def cchat() -> None:
    """Talks in Matrix rooms from a terminal: with people, with agents, through a daemon or without one."""


@app.command(
    epilog="""\b
Examples:
  cchat send backend 'The build is green again.'
  cchat send backend --to workshop --kind question 'Which tests are slow?'
  git diff | cchat send '#backend:example.org' --to @agent:example.org --wait
"""
)
def send(  # noqa: PLR0913 - one for each option
    room: Room,
    text: Text = None,
    to: To = None,
    kind: Annotated[Kind, typer.Option(help="What it is for.")] = Kind.MESSAGE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer, and print it.")] = False,
    timeout: Timeout = "10m",
    reply_to: Annotated[str | None, typer.Option(help="The id of the message that it answers.", metavar="ID")] = None,
    task: Annotated[str | None, typer.Option(help="The task that it is about.", metavar="TASK")] = None,
    thread: Thread = None,
    expires: Expires = None,
    budget: Budget = None,
    key: Key = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Say something in a room. It begins a turn of the agent that it is for."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.saying import Saying
    from aiagentchat.cli.exchange.saying import send as do
    from aiagentchat.cli.exchange.wishes import Words

    given = Words(room=room, body="", kind=kind, to=to, in_reply_to=reply_to, task=task, thread=thread, budget=budget)
    how = Saying(expires=expires, timeout=timeout, key=key, waits=wait)
    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), given, text or [], how))


@app.command(
    epilog="""\b
Examples:
  cchat ask backend 'Is the build green?'
  cchat ask backend --to workshop 'Which tests are slow?' --timeout 30m
  cchat ask backend --json 'How many files are there?' | jq -r .answer
"""
)
def ask(  # noqa: PLR0913 - one for each option
    room: Room,
    text: Text = None,
    to: To = None,
    timeout: Timeout = "10m",
    thread: Thread = None,
    expires: Expires = None,
    budget: Budget = None,
    key: Key = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Ask somebody, wait for the answer and print it. Without --to, the daemon's own agent."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.saying import Saying
    from aiagentchat.cli.exchange.saying import send as do
    from aiagentchat.cli.exchange.wishes import Words

    given = Words(room=room, body="", kind="question", to=to, thread=thread, budget=budget)
    how = Saying(expires=expires, timeout=timeout, key=key, waits=True)
    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), given, text or [], how))


@app.command(
    epilog="""\b
Examples:
  cchat read backend
  cchat read backend -n 200 --json | jq -r '.messages[].body'
"""
)
def read(  # noqa: PLR0913 - one for each option
    room: Room,
    limit: Annotated[int, typer.Option("--limit", "-n", help="So many messages.", min=1, max=200, metavar="N")] = 20,
    before: Before = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Print the last messages of a room, oldest first."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import read as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), room, limit=limit, before=before))


@app.command(
    epilog="""\b
Examples:
  cchat who
  cchat who --all
  cchat who --json | jq -r '.instances[].address'
"""
)
def who(
    everybody: Annotated[bool, typer.Option("--all", help="Those that are offline, too.")] = False,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """List the agents that are there."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import who as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), everybody=everybody))


@app.command(
    epilog="""\b
Examples:
  cchat status
  cchat status m5f0c6c1c7d3b4b0e9a3d9a1d8a2c9f10
  cchat status t8c1f0a9be2d4
  cchat status --json | jq .status
"""
)
def status(
    message: Annotated[
        str | None, typer.Argument(help="The id of a message that was sent, or of a task.", metavar="ID")
    ] = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Say how far a message or a task has come; without an id, how the daemon is."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import status as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), message))


tasks = typer.Typer(help="List tasks, give one to somebody, say what has become of one.", rich_markup_mode=None)
app.add_typer(tasks, name="tasks")


@tasks.callback(
    invoke_without_command=True,
    epilog="""\b
Examples:
  cchat tasks
  cchat tasks --room backend --all
  cchat tasks --json | jq -r '.tasks[].id'
""",
)
def list_tasks(  # noqa: PLR0913 - one for each option
    context: typer.Context,
    room: OneRoom = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """List tasks, give one to somebody, say what has become of one."""
    if context.invoked_subcommand is not None:
        return
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import tasks as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), room, everything=everything))


@tasks.command(
    epilog="""\b
Examples:
  cchat tasks assign backend workshop 'Mend the slow test.' --deadline 2h
  cchat tasks assign backend @agent:example.org/workshop - < todo.md
"""
)
def assign(  # noqa: PLR0913 - one for each option
    room: Room,
    to: Annotated[str, typer.Argument(help="Whom: an address, or an instance's name.", metavar="TO")],
    text: Text = None,
    deadline: Annotated[str | None, typer.Option(help="Until when: 2h, 7d, or a moment.", metavar="TIME")] = None,
    key: Key = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Give work to an agent. It is a thread of the room."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.saying import Saying
    from aiagentchat.cli.exchange.saying import assign as do
    from aiagentchat.cli.exchange.wishes import Words

    way = _way(gateway, token_file, config, profile, direct)
    how = Saying(expires=deadline, key=key)
    given = Words(room=room, body="", to=to)
    raise typer.Exit(do(way, Console(as_json), given, text or [], how))


@tasks.command(
    epilog="""\b
Examples:
  cchat tasks update t8c1f0a9be2d4 progress --note 'Half of it is done.'
  cchat tasks update t8c1f0a9be2d4 cancelled
"""
)
def update(  # noqa: PLR0913 - one for each option
    task: Annotated[str, typer.Argument(help="Its id.", metavar="TASK")],
    step: Annotated[Step, typer.Argument(help="What has become of it.")],
    note: Annotated[str, typer.Option(help="The news, in words.", metavar="TEXT")] = "",
    room: Annotated[
        str | None, typer.Option(help="Its room; looked up when not given.", metavar="ROOM", callback=_given)
    ] = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Say what has become of a task that you have given, or work on."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import update as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), task, step, room=room, note=note))


@app.command(
    epilog="""\b
Examples:
  cchat history deploy --since 7d
  cchat history --room backend --sender @anna:example.org --kind task
  cchat history 'release notes' --json --limit 200 | jq -r '.messages[].body'
"""
)
def history(  # noqa: PLR0913 - one for each option
    words: Annotated[list[str] | None, typer.Argument(help="Words that must be in it, in any order.")] = None,
    room: OneRoom = None,
    sender: Annotated[str | None, typer.Option(help="Only of this account: @anna:example.org.", metavar="USER")] = None,
    kind: Annotated[AnyKind | None, typer.Option(help="Only of this kind.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only since then: 2h, 7d, or 2026-11-25T14:00.", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before then.", metavar="TIME")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", help="At most so many, the newest.", min=1, max=200, metavar="N")
    ] = 50,
    before: Before = None,
    as_json: Json = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Find what was said."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import history as do
    from aiagentchat.cli.exchange.wishes import Search

    search = Search(words=" ".join(words or []), room=room, sender=sender, kind=kind, before=before, limit=limit)
    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), search, since=since, until=until))


@app.command(
    epilog="""\b
Examples:
  cchat watch
  cchat watch backend
  cchat watch --json | jq --unbuffered -r .data.body
"""
)
def watch(  # noqa: PLR0913 - one for each option
    room: Annotated[str | None, typer.Argument(help="Only of this room.", metavar="[ROOM]", callback=_given)] = None,
    after: Annotated[str | None, typer.Option(help="Begin behind the event with this id.", metavar="ID")] = None,
    as_json: JsonLines = False,
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Print what is said, as it is said, until Ctrl-C."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.looking import watch as do

    way = _way(gateway, token_file, config, profile, direct)
    raise typer.Exit(do(way, Console(as_json), room, after))


@app.command(
    epilog="""\b
Examples:
  cchat chat --room backend
  cchat chat --room '#backend:example.org' --as second
  cchat chat --homeserver http://127.0.0.1:8008 --token-file ~/.cchat-token
  echo 'list the files' | cchat chat --room backend
"""
)
def chat(
    homeserver: Annotated[
        str | None, typer.Option(help="Where the homeserver is.", envvar="CCHAT_HOMESERVER", metavar="URL")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(help="Who you are; by default whoever the login is.", envvar="CCHAT_USER", metavar="@YOU:SERVER"),
    ] = None,
    room: Annotated[
        str | None,
        typer.Option(help="A room's id, alias or name. Not needed if you are in one only.", envvar="CCHAT_ROOM"),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            help="A file with your access token; or set CCHAT_ACCESS_TOKEN or CCHAT_ACCESS_TOKEN_FILE.", metavar="FILE"
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--as", help="A login of that name, of cchat login.", envvar="CCHAT_AS", metavar="NAME"),
    ] = None,
) -> None:
    """Chat in a room. Answers appear while they are written, approvals are one key."""
    from aiagentchat.cli.chat.command import chat_command

    raise typer.Exit(chat_command(homeserver=homeserver, user=user, room=room, token_file=token_file, profile=profile))


@app.command(
    epilog="""\b
Examples:
  cchat login --homeserver https://matrix.example.org --user anna
  cchat login --as second --homeserver http://127.0.0.1:8008 --user second
  cchat login --homeserver https://matrix.example.org --token-file token
  cchat login --forget
"""
)
def login(
    homeserver: Annotated[
        str | None, typer.Option(help="Where the homeserver is.", envvar="CCHAT_HOMESERVER", metavar="URL")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="The account: its name, or @you:server.", envvar="CCHAT_USER", metavar="USER")
    ] = None,
    password_file: Annotated[
        str | None,
        typer.Option(help="A file with the password; else it is asked for, or read from stdin.", metavar="FILE"),
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(help="A file with an access token, in the place of a password.", metavar="FILE")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--as", help="Keep it under this name, beside others.", envvar="CCHAT_AS", metavar="NAME"),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="End the login instead, and remove it.")] = False,
) -> None:
    """Log in with an account of your own. For where there is no gateway, and for cchat chat."""
    from aiagentchat.cli.exchange.console import Console
    from aiagentchat.cli.exchange.login import login_command as do

    code = do(
        Console(),
        homeserver=homeserver,
        user=user,
        password_file=password_file,
        token_file=token_file,
        profile=profile,
        forget=forget,
    )
    raise typer.Exit(code)


@app.command(
    epilog="""\b
Examples:
  claude mcp add aiagentchat -- cchat mcp
  cchat mcp --config /etc/aiagentchat/config.yaml
  cchat mcp --as second
"""
)
def mcp(
    gateway: GatewayOption = None,
    token_file: TokenFile = None,
    config: Config = None,
    profile: As = None,
    direct: Directly = False,
) -> None:
    """Offer the rooms to a Claude Code session. An MCP server on stdin and stdout."""

    from aiagentchat.cli.exchange.mcp import serve

    raise typer.Exit(serve(_way(gateway, token_file, config, profile, direct)))


def main() -> None:
    """The console script."""
    _have_streams()
    if not all(map(_is_text, sys.argv)):
        sys.stderr.write(
            "cchat: an argument is no text in UTF-8, so nothing was done; what is to be sent, send on stdin\n"
        )
        sys.exit(2)
    if "--json" in sys.argv:
        _for_a_program()
    app()


def _for_a_program() -> NoReturn:
    """Whoever wants JSON gets that also where the options make no sense."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        import json

        typer.echo(f"cchat: {error.format_message()}", err=True)
        said = {"exit": error.exit_code, "cause": "usage", "detail": error.format_message()}
        typer.echo(json.dumps({"error": said}, ensure_ascii=False))
        sys.exit(error.exit_code)
    sys.exit(code)


def _have_streams() -> None:
    """Somebody may have started us without; and what a terminal's language has no letter for is spelled out."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:  # what was no UTF-8 is kept as halves of characters
        return False
    return True


if __name__ == "__main__":
    main()
