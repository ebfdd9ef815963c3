"""docker-compose.yml as the real compose takes it. Nothing is started here: test_compose_up.py does that."""

import json
import os
import subprocess
from typing import Any

import pytest
import yaml

from rig.container import IMAGE
from rig.image import tools
from rig.setup import ROOT

pytestmark = [
    pytest.mark.ship,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not IMAGE, reason="AIAGENTCHAT_TEST_IMAGE names no image: make image-test"),
]

FILE = ROOT / "docker-compose.yml"
ALWAYS = {"network", "aiagentchat"}
PROFILES = {
    "": ALWAYS,
    "setup": ALWAYS | {"setup"},
    "matrix": ALWAYS | {"synapse-config", "synapse", "bootstrap", "element"},
    "observability": ALWAYS | {"loki", "alloy", "prometheus-config", "prometheus", "grafana"},
    "alerts": ALWAYS | {"alertmanager"},
}


def compose(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [tools("docker-compose"), "--file", FILE, *words],
        check=False,
        capture_output=True,
        text=True,
        env=kept | variables,
        timeout=60,
    )


def services(profile: str, **variables: str) -> dict[str, Any]:
    """As compose understands them; it says nothing else."""
    done = compose(*(["--profile", profile] if profile else []), "config", "--format", "json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_takes_every_profile_without_a_word(profile: str) -> None:
    assert services(profile).keys() == PROFILES[profile]


def test_all_profiles_go_together() -> None:
    done = compose("--profile", "*", "config", "--services")

    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == set().union(*PROFILES.values())


def test_every_service_of_the_file_is_in_a_profile_that_is_tested() -> None:
    assert set(yaml.safe_load(FILE.read_text("utf-8"))["services"]) == set().union(*PROFILES.values())


def test_the_daemon_keeps_its_options_through_the_anchors() -> None:
    daemon = services("")["aiagentchat"]

    assert (daemon["read_only"], daemon["cap_drop"], daemon["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert len(daemon["security_opt"]) == 4
    assert daemon["environment"]["AIAGENTCHAT_FETCH_CLI"] == "0"


def test_the_daemon_and_prometheus_have_the_network_of_what_is_never_restarted() -> None:
    found = services("observability")

    assert found["network"]["networks"]["default"]["aliases"] == ["prometheus"]
    for name in ("aiagentchat", "prometheus"):
        assert (found[name]["network_mode"], "networks" in found[name]) == ("service:network", False)
        assert found[name]["depends_on"]["network"]["condition"] == "service_started"


def test_what_is_chosen_by_a_variable_arrives() -> None:
    found = services("matrix", SERVER_NAME="house.example", PERSON="@anna:house.example", AIAGENTCHAT_IMAGE="ours:1")

    assert "--server-name=house.example" in found["synapse-config"]["command"]
    assert "--server-admin=@anna:house.example" in found["bootstrap"]["command"]
    assert found["aiagentchat"]["image"] == found["bootstrap"]["image"] == "ours:1"


def test_the_file_fits_the_schema_of_compose_files() -> None:
    checked = subprocess.run(
        [tools("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert checked.returncode == 0, checked.stdout
