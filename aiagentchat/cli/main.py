"""`aiagentchat …`: what the operator types."""

from pathlib import Path
from typing import Annotated

import typer

from aiagentchat import __version__

app = typer.Typer(
    name="aiagentchat",
    help="Puts Claude Code into Matrix rooms.",
    epilog="Examples:  aiagentchat check  ·  aiagentchat run  ·  aiagentchat run --config /etc/aiagentchat/config.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path, typer.Option("--config", "-c", help="The settings file.", envvar="AIAGENTCHAT_CONFIG", show_default=True)
]
DEFAULT_CONFIG = Path("config.yaml")


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    log_format: Annotated[str, typer.Option(help="json for machines, console for people.")] = "json",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    from aiagentchat.cli.run import run_command

    raise typer.Exit(run_command(config, log_format, log_level))


@app.command()
def check(config: Config = DEFAULT_CONFIG) -> None:
    """Say what is wrong with the settings, or print what is in force."""
    from aiagentchat.cli.check import check_command

    raise typer.Exit(check_command(config))


@app.command()
def reload(config: Config = DEFAULT_CONFIG) -> None:
    """Make the running daemon read its settings again. Turns that run go on."""
    from aiagentchat.cli.reload import reload_command

    raise typer.Exit(reload_command(config))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"aiagentchat {__version__}")


def main() -> None:
    """The console script."""
    app()
