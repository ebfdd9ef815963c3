"""What every test may ask for: a real homeserver, a model that follows scripts, the real CLI, fresh people."""

import gc
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from rig.claude import cli_binary
from rig.homeserver import Homeserver
from rig.js_people import JsPeople, js_people
from rig.model import Model, model_thread
from rig.people import People
from rig.people import people as invite_people
from rig.setup import Node, SetupFailed, js_client
from rig.unprivileged import own
from tests.fakes.plain_log import plain_log

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

GARBAGE = 10_000
"""So many new objects, and the collector looks through them; Python itself says 700."""
_REAL_PARTS = {"homeserver", "cli", "node"}


plain_log()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and every program that a test starts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.disable()  # until all is collected: none of it is garbage, and looking through it is a third of the work


def pytest_collection_finish() -> None:
    """What was collected stays; the collector need not look through ten thousand tests again and again."""
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real parts, so that `pytest -m "not real"` is the quick suite."""
    for item in items:
        if _REAL_PARTS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """The daemon closes its umask; a test that runs it in this process must not close the next one's folders."""
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    """A real Synapse without rate limits, one per worker. A test that stops or slows it makes its own."""
    with Homeserver(tmp_path_factory.mktemp("homeserver")) as server:
        yield server


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The scriptable stub of the Messages API, one per worker. Scripts ride in prompts, so tests do not meet."""
    with model_thread() as running:
        yield running


@pytest.fixture(scope="session")
def cli() -> Path:
    """The real Claude Code CLI."""
    return cli_binary()


@pytest.fixture
async def people(homeserver: Homeserver) -> AsyncIterator[People]:
    """Fresh users and rooms."""
    async with invite_people(homeserver) as present:
        yield present


@pytest.fixture(scope="session")
def node() -> Node:
    """node with matrix-js-sdk: what Element runs. Without a network for its installation, its tests are left out."""
    try:
        return js_client()
    except SetupFailed as failed:
        pytest.skip(f"matrix-js-sdk is not here and cannot be installed (python -m rig.setup --clients): {failed}")


@pytest.fixture
async def elements(people: People, node: Node, tmp_path: Path) -> AsyncIterator[JsPeople]:
    """Fresh users at Element."""
    async with js_people(people, node, tmp_path / "elements") as present:
        yield present


@pytest.fixture
def workplace() -> Iterator[Path]:
    """A folder that belongs to the user whom `as_unprivileged` makes; `tmp_path` is closed to everybody but us."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as folder:
        yield own(Path(folder))


@pytest.fixture
def crossroads() -> Iterator[Path]:
    """A folder of ours that everybody can go through, for a daemon that gives each room a user of its own."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
