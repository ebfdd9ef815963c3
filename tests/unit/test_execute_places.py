"""A room's folders: made once, whole, from the template, and never through a link."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.execute.places import Places
from aiagentchat.execute.thumbnails import Thumbnailer
from aiagentchat.render import words
from aiagentchat.store.ledger import Ledger
from tests.fakes.ledgers import fresh_ledger
from tests.pictures import png
from tests.unit.execute_house import make_settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with fresh_ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def places(ledger: Ledger, settings: Settings) -> Places:
    return Places(ledger.rooms, lambda: settings)


def template(settings: Settings) -> Path:
    folder = settings.workspaces / "_template"
    folder.mkdir(parents=True)
    (folder / "CLAUDE.md").write_text("Be brief.", encoding="utf-8")
    return folder


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


async def test_a_room_lives_where_its_name_says(places: Places, settings: Settings) -> None:
    place = await places.of(settings.rooms[0])

    assert place.workspace == settings.workspaces / "a"
    assert place.home == settings.data_dir / "homes" / "a"
    assert place.workspace.is_dir()
    assert place.home.parent.stat().st_mode & 0o777 == 0o700


async def test_no_room_works_where_a_link_has_led_since_config_yaml_was_read(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    for folder in ("then", "now"):
        (tmp_path / folder).mkdir()
    (tmp_path / "way").symlink_to("then")
    way, then = tmp_path / "way", tmp_path / "then"
    own = replace(settings.rooms[0], workspace=way / "x", workspace_real=then / "x")
    moving = replace(settings, workspaces=way, workspaces_real=then, rooms=(own, settings.rooms[1]))
    places = Places(ledger.rooms, lambda: moving)
    before = [await places.of(room) for room in moving.rooms]
    way.unlink()
    way.symlink_to("now")

    assert [place.source for place in before] == [then / "x", then / "b"]
    for room in moving.rooms:
        with pytest.raises(AgentUnavailable, match="not where it was") as caught:
            await places.of(room)
        assert caught.value.human == words.NO_WORKSPACE
    assert list((tmp_path / "now").iterdir()) == []


async def test_a_room_that_is_renamed_stays_where_it_is(places: Places, settings: Settings) -> None:
    before = await places.of(settings.rooms[0])
    after = await places.of(replace(settings.rooms[0], name="another"))

    assert after == before


async def test_two_rooms_of_one_name_do_not_share_a_folder(places: Places, settings: Settings) -> None:
    first = await places.of(settings.rooms[0])
    second = await places.of(replace(settings.rooms[1], name=settings.rooms[0].name))

    assert first.workspace != second.workspace
    assert first.home != second.home


async def test_a_new_workspace_starts_with_the_template(places: Places, settings: Settings) -> None:
    template(settings)
    place = await places.of(settings.rooms[0])

    assert text(place.workspace / "CLAUDE.md") == "Be brief."


async def test_the_template_is_copied_only_once(places: Places, settings: Settings) -> None:
    template(settings)
    place = await places.of(settings.rooms[0])
    (place.workspace / "CLAUDE.md").unlink()
    await places.of(settings.rooms[0])

    assert list(place.workspace.iterdir()) == []


async def test_a_workspace_that_was_half_made_is_made_afresh(places: Places, settings: Settings) -> None:
    template(settings)
    half = settings.workspaces / ".a.new"
    half.mkdir()
    (half / "rubbish").touch()
    place = await places.of(settings.rooms[0])

    assert [file.name for file in place.workspace.iterdir()] == ["CLAUDE.md"]
    assert not half.exists()


async def test_a_template_that_is_a_link_is_not_followed(places: Places, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    settings.workspaces.mkdir()
    (settings.workspaces / "_template").symlink_to(tmp_path / "elsewhere")
    place = await places.of(settings.rooms[0])

    assert list(place.workspace.iterdir()) == []


async def test_rooms_that_begin_at_the_same_moment_all_have_their_place(places: Places, settings: Settings) -> None:
    rooms = [replace(settings.rooms[0], id=RoomId(f"!{number}:hs"), name=f"room{number}") for number in range(20)]

    made = await asyncio.gather(*(places.of(room) for room in rooms))

    assert [place.workspace.is_dir() for place in made] == [True] * len(rooms)


async def test_a_workspace_that_became_a_link_is_refused(places: Places, settings: Settings, tmp_path: Path) -> None:
    settings.workspaces.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (settings.workspaces / "a").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AgentUnavailable) as caught:
        await places.of(settings.rooms[0])
    assert caught.value.human == words.NO_WORKSPACE


async def test_a_file_in_the_place_of_a_workspace_is_left_alone(places: Places, settings: Settings) -> None:
    settings.workspaces.mkdir()
    (settings.workspaces / "a").write_text("mine", encoding="utf-8")

    with pytest.raises(AgentUnavailable):
        await places.of(settings.rooms[0])
    assert text(settings.workspaces / "a") == "mine"


async def test_a_workspace_of_the_rooms_own_is_used_as_it_is(
    places: Places, settings: Settings, tmp_path: Path
) -> None:
    own = tmp_path / "project"
    own.mkdir()
    (own / "file").touch()
    place = await places.of(replace(settings.rooms[0], workspace=own))

    assert place.workspace == own
    assert [file.name for file in own.iterdir()] == ["file"]


# ── a user for each room ──────────────────────────────────────────────────────────────────────────────────────────


@needs_root
async def test_where_rooms_have_users_of_their_own_their_folders_are_theirs(ledger: Ledger, crossroads: Path) -> None:
    settings = make_settings(crossroads)
    template(settings)
    places = Places(ledger.rooms, lambda: settings, own_users=True)
    first, second = [await places.of(room) for room in settings.rooms]

    assert (first.uid, second.uid) == (settings.room_uids[0], settings.room_uids[0] + 1)
    owned = [first.workspace, first.home, first.workspace / "CLAUDE.md"]
    assert [path.stat().st_uid for path in owned] == [first.uid] * 3
    assert [path.stat().st_mode & 0o777 for path in (first.home, second.home)] == [0o700] * 2
    assert [path.stat().st_mode & 0o777 for path in (settings.data_dir, first.home.parent)] == [0o711] * 2


@needs_root
async def test_a_room_for_which_no_user_is_left_is_not_run(ledger: Ledger, crossroads: Path) -> None:
    few = replace(make_settings(crossroads), room_uids=(200_000, 200_000))
    places = Places(ledger.rooms, lambda: few, own_users=True)
    await places.of(few.rooms[0])

    with pytest.raises(AgentUnavailable) as caught:
        await places.of(few.rooms[1])
    assert caught.value.human == words.NO_UID


@needs_root
async def test_a_room_with_a_user_of_its_own_gets_to_its_folders_and_nobody_lists_them(
    ledger: Ledger, crossroads: Path
) -> None:
    settings = make_settings(crossroads)
    os.umask(0o077)  # as the daemon has it
    room = replace(settings.rooms[0], workspace=settings.workspaces / "deep" / "down" / "here")
    place = await Places(ledger.rooms, lambda: settings, own_users=True).of(room)

    ways = [*place.home.parents[:2], *place.workspace.parents[:3]]
    assert {way.stat().st_mode & 0o777 for way in ways} == {0o711}
    for folder in (place.workspace, place.home):
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, place.uid)


@needs_root
async def test_a_place_that_the_rooms_user_cannot_get_to_is_refused(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    os.chmod(tmp_path, 0o700)  # noqa: PTH101 - nothing else goes on
    with pytest.raises(AgentUnavailable, match="does not get through"):
        await Places(ledger.rooms, lambda: settings, own_users=True).of(settings.rooms[0])


async def test_of_a_room_that_has_no_place_no_thumbnail_is_made(settings: Settings, places: Places) -> None:
    maker, large = Thumbnailer(Isolation.NONE), png(1600, 1200)
    room = settings.rooms[0].id
    settings.workspaces.parent.mkdir(parents=True, exist_ok=True)
    settings.workspaces.write_text("in the way")

    assert await maker.in_room(RoomId("!gone:hs"), large, places=places, settings=lambda: settings) is None
    assert await maker.in_room(room, large, places=places, settings=lambda: settings) is None
