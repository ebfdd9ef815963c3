"""`cchat …`: what people (and agents) type to talk in a room."""

from typing import Annotated

import typer

app = typer.Typer(
    name="cchat",
    help="Talks in Matrix rooms from a terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_EXAMPLES = """\b
Examples:
  cchat chat --homeserver http://127.0.0.1:8008 --token-file ~/.cchat-token
  cchat chat --room '#backend:example.org'
  echo 'list the files' | cchat chat --room backend
"""


@app.callback(epilog=_EXAMPLES)
def cchat() -> None:
    """Talks in Matrix rooms from a terminal."""


@app.command(epilog=_EXAMPLES)
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
) -> None:
    """Chat in a room: answers appear while they are written, approvals are one key."""
    from aiagentchat.cli.chat.command import chat_command

    raise typer.Exit(chat_command(homeserver=homeserver, user=user, room=room, token_file=token_file))


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
