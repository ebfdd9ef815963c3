"""What holds the runs is settled before anything is taken in, and refused where it is less than was asked for."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.app.isolation import GATES, has_own_users, ready_for_runs, require_apart
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError, IsolationRefused
from aiagentchat.core.isolation import Held, Isolation
from tests.fakes.people import ADA
from tests.unit.execute_house import make_settings

ROOT = os.geteuid() == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the users of rooms can reach."""
    made = Path(subprocess.check_output(["mktemp", "-d", "/var/tmp/data.XXXXXX"], text=True).strip())
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def settings(place: Path) -> Settings:
    (place / "data").mkdir(mode=0o700)
    return replace(make_settings(place), isolation="none", isolation_minimum=Isolation.NONE)


async def test_without_isolation_one_room_is_warned_of_and_two_are_refused(settings: Settings) -> None:
    with capture_logs() as logs:
        held = await ready_for_runs(replace(settings, rooms=settings.rooms[:1]), {})
    with pytest.raises(IsolationRefused, match="the 2 rooms could read"):
        await ready_for_runs(settings, {})

    assert held.isolation is Isolation.NONE
    assert [line["event"] for line in logs] == ["isolation.chosen", "isolation.degraded"]


def test_rooms_that_were_made_in_chat_count_too(settings: Settings) -> None:
    one = replace(settings, rooms=settings.rooms[:1])
    require_apart(Held(Isolation.NONE), one)
    require_apart(Held(Isolation.LANDLOCK), settings)

    with pytest.raises(IsolationRefused, match="`aiagentchat rooms` lists them"):
        require_apart(Held(Isolation.NONE), replace(one, rooms=(*one.rooms, replace(one.rooms[0], made_by=ADA))))


async def test_a_better_way_that_does_not_work_is_named_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with capture_logs() as logs:
        held = await ready_for_runs(replace(settings, isolation="auto"), {})

    assert held.isolation is (Isolation.USERS if ROOT else Isolation.LANDLOCK)
    [line] = [line for line in logs if line["event"] == "isolation.not_possible"]
    assert (line["isolation"], line["why"]) == (Isolation.STRICT, "bubblewrap is not installed")
    assert "apt-get install bubblewrap" in line["fix"][0]


async def test_sockets_of_an_earlier_life_are_gone(settings: Settings) -> None:
    old = settings.data_dir / GATES / "old.sock"
    old.parent.mkdir()
    old.touch()
    await ready_for_runs(replace(settings, rooms=()), {})

    assert not old.exists()


async def test_a_folder_that_cannot_be_made_is_a_sentence(settings: Settings) -> None:
    (settings.data_dir / GATES).touch()

    with pytest.raises(ConfigError, match="gates: File exists"):
        await ready_for_runs(settings, {})


@pytest.mark.parametrize(
    ("isolation", "expected"),
    [
        pytest.param(Isolation.STRICT, ROOT, id="strict"),
        pytest.param(Isolation.USERS, ROOT, id="users"),
        pytest.param(Isolation.LANDLOCK, False, id="landlock"),
        pytest.param(Isolation.NONE, False, id="none"),
    ],
)
def test_rooms_have_users_of_their_own_where_that_is_possible_and_of_use(isolation: Isolation, expected: bool) -> None:
    assert has_own_users(Held(isolation)) is expected
