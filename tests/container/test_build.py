"""What others get when they have the image: what is in its layers, and what it says of itself."""

import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from aiagentchat import __version__
from rig.container import IMAGE
from rig.image import CANARY, WITH_CLI, WITHOUT_CLI, saved, tools
from rig.setup import ROOT

pytestmark = [
    pytest.mark.ship,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IMAGE, reason="AIAGENTCHAT_TEST_IMAGE names no image: make image-test"),
]

SHAPES = re.compile(
    rb"sk-ant-(?:api|oat|admin)\d\d-[\w-]{20,}|\bsyt_[A-Za-z0-9]+_[A-Za-z]{20}_|\bglpat-[\w-]{20}|\bgh[pousr]_\w{36}"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200,}-----END"
)
NAMES = re.compile(
    r"(?:^|/)(?:\.env[^/]*|[^/]*\.env|secrets|\.git|\.netrc|\.pypirc|pip\.conf|id_\w+|[^/]*\.key|[^/]*\.token|"
    r"config\.yaml|store\.key|homeserver\.yaml)$"
)
PUBLISHED = re.compile(r"/Crypto/SelfTest/|/libgnutls\.so\.")
"""Libraries that bring keys to test themselves with; everybody has those."""
PROGRAM = re.compile(r"claude_agent_sdk/_bundled/claude$")


@dataclass(frozen=True)
class Image:
    """A saved one."""

    config: dict[str, Any]
    layers: list[tarfile.TarFile]

    @cached_property
    def files(self) -> list[tuple[str, tarfile.TarFile, tarfile.TarInfo]]:
        """Everything in every layer, also what a later one has taken away."""
        return [(f"/{info.name}", layer, info) for layer in self.layers for info in layer]


@pytest.fixture(scope="module", params=[WITH_CLI, WITHOUT_CLI])
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """Each of the two."""
    with saved(request.param) as (config, layers):
        yield Image(config, layers)


def contents(image: Image) -> Iterator[tuple[str, bytes]]:
    """Of every file that may hold text; the agent's program is a program, and not ours."""
    for name, layer, info in image.files:
        if info.isfile() and not PROGRAM.search(name):
            file = layer.extractfile(info)
            assert file is not None
            yield name, file.read()


def test_no_secret_is_in_a_layer(image: Image) -> None:
    found = [
        name
        for name, text in contents(image)
        if CANARY.encode() in text or (SHAPES.search(text) and not PUBLISHED.search(name))
    ]

    assert image.layers
    assert found == []


def test_no_file_that_holds_secrets_is_in_a_layer(image: Image) -> None:
    # What was lent to the build leaves an empty file where it lay.
    found = [name for name, _, info in image.files if NAMES.search(name) and not (info.isfile() and info.size == 0)]

    assert found == []


def test_no_secret_is_in_what_the_image_says_of_itself(image: Image) -> None:
    said = str(image.config)

    assert CANARY not in said
    assert not re.search("PIP_|TOKEN|API_KEY|PASSWORD|certs", said)


def test_the_program_is_in_the_one_and_in_no_layer_of_the_other(image: Image, request: pytest.FixtureRequest) -> None:
    there = [name for name, _, _ in image.files if PROGRAM.search(name)]

    assert len(there) == (WITH_CLI in request.node.name)


def test_it_is_an_ordinary_user_and_says_how_it_is_looked_after(image: Image) -> None:
    config = image.config["config"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/usr/bin/tini", "--", "aiagentchat"]
    assert config["Healthcheck"]["Test"] == ["CMD", "aiagentchat", "healthcheck"]
    assert config["Volumes"].keys() == {"/data", "/rooms"}


def test_its_labels_say_what_it_is_and_where_it_comes_from(image: Image) -> None:
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): said for name, said in image.config["config"]["Labels"].items()}

    assert (labels["title"], labels["licenses"], labels["version"]) == ("aiagentchat", "MIT", __version__)
    assert (labels["revision"], labels["source"]) == ("abc", "a/place")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])


def test_nothing_that_the_daemon_runs_can_be_changed_by_it(image: Image) -> None:
    code = [info for name, _, info in image.files if name.startswith("/opt/aiagentchat/")]

    assert code
    assert [info.name for info in code if info.uid != 0 or (not info.issym() and info.mode & 0o022)] == []


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run(
        [tools("hadolint"), ROOT / "Dockerfile"], check=False, capture_output=True, text=True, timeout=60
    )

    assert (found.stdout, found.returncode) == ("", 0)
