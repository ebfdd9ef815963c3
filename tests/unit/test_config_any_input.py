"""Whatever a file holds, loading it gives settings or a list of problems, never anything else."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from aiagentchat.config.load import load
from aiagentchat.config.schema import Agent, Defaults, File, Matrix, MountEntry, Room
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError

KEYS = sorted({key for model in (File, Matrix, Defaults, Room, MountEntry, Agent) for key in model.model_fields})
WORDS = ["@a:b", "!a:b", "#a:b", "claude", "./rooms/a", "../x", "~", "bypassPermissions", "http://x", "yes", "", "\0"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
    | st.dates()
    | st.binary(max_size=4)
)
keys = st.sampled_from([*KEYS, "[key]", "password"]) | st.text(max_size=4)


def below(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)


values = st.recursive(scalars, below, max_leaves=12)


def group(*known: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(known) | keys, values, max_size=5)


mounts = st.fixed_dictionaries(
    {},
    optional={
        "mounts": st.lists(
            st.fixed_dictionaries({}, optional={"path": st.sampled_from(["/usr", "/"]) | values, "mode": values})
            | group(*MountEntry.model_fields)
            | values,
            max_size=3,
        )
        | values
    },
)


def with_mounts(section: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda one, other: {**one, **other}, section, mounts)


near_misses = st.fixed_dictionaries(
    {"matrix": st.just({"homeserver": "https://x", "user_id": "@a:b"}) | group(*Matrix.model_fields)},
    optional={
        "rooms": st.lists(with_mounts(st.just({"id": "!a:b"}) | group(*Room.model_fields)), max_size=3) | values,
        "defaults": with_mounts(group(*Defaults.model_fields)),
        "agents": st.dictionaries(keys, group(*Agent.model_fields), max_size=2) | values,
        **dict.fromkeys(File.model_fields.keys() - {"matrix", "rooms", "defaults", "agents"}, values),
    },
)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "config.yaml"


def outcome(file: Path, content: bytes) -> Settings | list[str]:
    """What loading a file with this content gives: settings, or one line for each problem."""
    file.write_bytes(content)
    try:
        return load(file, {"HOME": "/home/you"})
    except ConfigError as error:
        return error.problems


def is_usable(file: Path, given: Settings | list[str]) -> bool:
    """Whether it is settings, or problems that a terminal can show."""
    if isinstance(given, Settings):
        return True
    return bool(given) and all(problem.startswith(str(file)) and problem.isprintable() for problem in given)


@given(near_misses | values)
@example({"matrix": {"homeserver": "https://x", "user_id": "@a:b"}, "agents": {"[key]": {}}})
@example({"rooms": [{"mounts": [[None, None], {"path": [None]}, {"path": {"a": None}, "mode": [None]}, None, "x"]}]})
@example({"rooms": [[None, [None]], None, None], "matrix": [None, None], "agents": {"a": [None], "b": None}})
def test_any_structure_gives_settings_or_problems(file: Path, data: object) -> None:
    assert is_usable(file, outcome(file, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace")))


@given(st.text(alphabet=st.sampled_from(list(" \n\t:-[]{}#&*!|>'\"%@`,?~abc01.\\")), max_size=60))
@example("&a [*a]")
@example("? ? ?")
def test_any_text_gives_settings_or_problems(file: Path, text: str) -> None:
    assert is_usable(file, outcome(file, text.encode()))


@given(st.binary(max_size=60))
def test_any_bytes_give_settings_or_problems(file: Path, content: bytes) -> None:
    assert is_usable(file, outcome(file, content))
