"""Which model somebody means."""

import pytest

from aiagentchat.core.agent_commands import OwnCommand, own_command
from aiagentchat.core.models import Meant, meant

CONFIGURED = ["house-model"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        pytest.param("opus", Meant("opus"), id="a word of the program's"),
        pytest.param("Sonnet[1M]", Meant("sonnet[1m]"), id="capitals make no difference"),
        pytest.param("default", Meant("default"), id="what config.yaml says"),
        pytest.param("house-model", Meant("house-model"), id="a name of config.yaml"),
        pytest.param("claude-sonnet-4-5", Meant("claude-sonnet-4-5"), id="a whole id"),
        pytest.param("us.anthropic.claude-opus-4-1:0", Meant("us.anthropic.claude-opus-4-1:0"), id="of a cloud"),
        pytest.param("claude-opus-4-1[1m]", Meant("claude-opus-4-1[1m]"), id="with a large window"),
        pytest.param("sonet", Meant(nearest="sonnet"), id="a slip"),
        pytest.param("gpt", Meant(), id="nothing like it"),
        pytest.param("claude-x y", Meant(), id="a blank in it"),
        pytest.param("--claude-x", Meant(), id="what looks like an option"),
        pytest.param("claude-" + "x" * 200, Meant(), id="too long"),
    ],
)
def test_a_model_is_meant_or_the_nearest_is_named(typed: str, found: Meant) -> None:
    assert meant(typed, CONFIGURED) == found


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        pytest.param("compact", OwnCommand("compact"), id="one of the list"),
        pytest.param("/Context ", OwnCommand("context"), id="as the agent has it"),
        pytest.param("model", OwnCommand("model"), id="model alone shows it"),
        pytest.param("model opus", OwnCommand("model opus", changes_model=True), id="model with a model"),
        pytest.param("model opsu", OwnCommand(nearest="model opus"), id="a slip in the model"),
        pytest.param("model zzz", OwnCommand(nearest="model default"), id="no model"),
        pytest.param("compact @/etc/passwd", OwnCommand(nearest="compact"), id="nothing is handed on with the others"),
        pytest.param("compakt", OwnCommand(nearest="compact"), id="a slip"),
        pytest.param("permissions", OwnCommand(), id="not in the list"),
    ],
)
def test_only_what_is_in_the_list_is_run_and_only_a_model_goes_with_it(typed: str, found: OwnCommand) -> None:
    assert own_command(typed, CONFIGURED) == found
