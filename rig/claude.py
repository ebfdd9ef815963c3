"""Where the real Claude Code CLI is: inside the wheel `claude-agent-sdk`, of which nothing else is used."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from rig.unprivileged import clean_env


def cli_binary() -> Path:
    """The CLI's binary. Does not import the wheel: importing it takes more than a second."""
    try:
        listed = files("claude-agent-sdk") or []
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            "claude-agent-sdk is not installed: pip install --no-deps -r requirements-cli.txt"
        ) from error
    for file in listed:
        if file.parts[-2:] == ("_bundled", "claude"):
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("this claude-agent-sdk has no _bundled/claude: its wheel is for another platform")


def cli_env(home: Path, model_url: str, **extra: str) -> dict[str, str]:
    """The whole environment of a CLI that keeps to the folder `home` and talks to nobody but the model."""
    return clean_env(
        HOME=str(home),
        CLAUDE_CONFIG_DIR=str(home / "config"),
        CLAUDE_CODE_TMPDIR=str(home / "tmp"),
        ANTHROPIC_BASE_URL=model_url,
        ANTHROPIC_API_KEY="sk-ant-offline",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_DISABLE_BACKGROUND_TASKS="1",
        DISABLE_AUTOUPDATER="1",
        **extra,
    )
