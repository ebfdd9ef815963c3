"""The example, the reference and the schema say the same."""

import re
from pathlib import Path

import yaml

from aiagentchat.config.edit import example
from aiagentchat.config.load import load
from aiagentchat.config.schema import (
    Agent,
    Defaults,
    File,
    Gateway,
    GatewayCaller,
    Loki,
    Matrix,
    Registry,
    Room,
    Section,
)
from aiagentchat.config.secrets import VARIABLES
from tests.docs.command_blocks import blocks

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.yaml"
CONFIG_PAGE = ROOT / "docs/reference/config.md"
ENVIRONMENT_PAGE = ROOT / "docs/reference/environment.md"

SECTIONS: dict[str, type[Section]] = {
    "matrix": Matrix,
    "defaults": Defaults,
    "rooms": Room,
    "agents": Agent,
    "gateway": Gateway,
    "registry": Registry,
    "loki": Loki,
}
PREFIXES = {
    "matrix": "matrix",
    "defaults": "defaults",
    "rooms": "rooms[]",
    "agents": "agents.<name>",
    "gateway": "gateway",
    "registry": "registry",
    "loki": "loki",
}


def schema_keys() -> set[str]:
    top = File.model_fields.keys() - SECTIONS.keys()
    callers = {f"gateway.callers.<name>.{key}" for key in GatewayCaller.model_fields}
    return top | callers | {f"{PREFIXES[name]}.{key}" for name, model in SECTIONS.items() for key in model.model_fields}


def test_the_reference_lists_exactly_the_keys_there_are() -> None:
    documented = re.findall(r"^\| `([^`]+)` \|", CONFIG_PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(documented) == sorted(schema_keys())


def test_the_reference_names_the_defaults_there_are() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| [^|]* \| `([^`]+)` \|", CONFIG_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    documented = {key: yaml.safe_load(value) for key, value in rows.items()}
    defaults = {key: File.model_fields[key].default for key in File.model_fields.keys() - SECTIONS.keys()}

    assert documented == {key: [*value] if isinstance(value, tuple) else value for key, value in defaults.items()}


def test_the_example_that_is_installed_is_the_one_that_is_shown() -> None:
    assert example() == EXAMPLE.read_text(encoding="utf-8"), "run: cp config.yaml aiagentchat/config/example.yaml"


def test_the_example_is_accepted_as_it_is() -> None:
    settings = load(EXAMPLE, {})

    assert [room.name for room in settings.rooms] == ["backend"]


def test_the_example_shows_every_key_where_it_stands_and_all_of_them_are_accepted(tmp_path: Path) -> None:
    everything = re.sub(r"^( *)#(?=\w+:)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file = tmp_path / "config.yaml"
    file.write_text(everything, encoding="utf-8")
    data = yaml.safe_load(everything)

    load(file, {})
    assert data.keys() == File.model_fields.keys()
    assert data["matrix"].keys() == Matrix.model_fields.keys()
    assert data["defaults"].keys() == Defaults.model_fields.keys()
    assert data["rooms"][0].keys() == Room.model_fields.keys()
    assert data["agents"]["claude"].keys() == Agent.model_fields.keys()
    assert data["gateway"].keys() == Gateway.model_fields.keys()
    assert data["gateway"]["callers"]["ci"].keys() == GatewayCaller.model_fields.keys()
    assert data["registry"].keys() == Registry.model_fields.keys()
    assert data["loki"].keys() == Loki.model_fields.keys()


def test_the_reference_lists_exactly_the_secrets_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", ENVIRONMENT_PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert {name for name, has_file in rows if has_file == "yes"} == set(VARIABLES)


def test_the_settings_of_the_guide_to_several_agents_are_accepted(tmp_path: Path) -> None:
    first, second = (block.text for block in blocks("docs/how-to/several-agents.md") if block.language == "yaml")
    account = 'matrix: {homeserver: "http://127.0.0.1:8008", user_id: "@claude:localhost"}\n'
    (tmp_path / "config.yaml").write_text(account + first)
    settings = load(tmp_path / "config.yaml", {})
    (tmp_path / "config.yaml").write_text(account + second)

    assert [room.agent for room in settings.rooms] == ["claude", "reviewer"]
    assert [room.mention_only for room in load(tmp_path / "config.yaml", {}).rooms] == [True]
