"""Writes a config.yaml and says what loading it gives."""

from pathlib import Path

import pytest

from aiagentchat.config.load import load
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError

MATRIX = 'matrix: {homeserver: "http://127.0.0.1:8008", user_id: "@claude:localhost"}\n'
"""Line 1 of most files in the tests."""

ENVIRON = {"HOME": "/home/you"}


def load_text(folder: Path, text: str) -> Settings:
    """The settings of a file with this text."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, ENVIRON)


def problems_of(folder: Path, text: str) -> list[str]:
    """What is wrong with a file with this text; its folder is left out of the lines, so that they can be compared."""
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]
