"""Who the daemon is to other instances, by its settings."""

from dataclasses import replace
from pathlib import Path

from aiagentchat import __version__
from aiagentchat.app.owner import this_machine
from aiagentchat.app.registry import own_instance, registered
from aiagentchat.config.schema import Registry
from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import Heard, InstanceKind, Pace, instance_name
from aiagentchat.matrix.client import Account, Client
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import START_MS, FakeClock
from tests.unit.test_app_connect import ME, live_in


def test_it_is_named_after_its_host_and_has_the_rooms_of_the_file(tmp_path: Path) -> None:
    live = live_in(tmp_path, {})
    own = own_instance(live, ME)()
    host, _ = this_machine()

    assert (own.user, own.name, own.host, own.kind) == (ME, instance_name(host), host, InstanceKind.DAEMON)
    assert (own.rooms, own.skills, own.version, own.status) == (("!a:hs",), (), __version__, "online")


def test_it_is_named_as_the_settings_name_it_and_a_reload_changes_its_rooms(tmp_path: Path) -> None:
    live = live_in(tmp_path, {})
    live.settings = replace(
        live.settings, registry=Registry.model_validate({"instance": "work_shop", "skills": ["python"]})
    )
    own = own_instance(live, ME)
    before = own()
    chat = RoomSettings(id=RoomId("!chat:hs"), name="chat", made_by=UserId("@anna:hs"))
    unknown = RoomSettings(id=RoomId("#nobody:hs"), name="nobody")
    live.settings = replace(live.settings, rooms=(*live.settings.rooms, chat, unknown, replace(chat, made_by=None)))

    assert (before.name, before.skills, before.rooms) == ("work_shop", ("python",), ("!a:hs",))
    assert own().rooms == ("!a:hs", "!chat:hs")
    assert own().life == before.life != own_instance(live, ME)().life


async def test_without_a_registry_room_there_is_only_who_is_here(tmp_path: Path) -> None:
    live, clock = live_in(tmp_path, {}), FakeClock()
    client = Client(Account(homeserver="http://127.0.0.1:1", user=ME, device_name="test"), MemoryAccounts())
    try:
        alone = registered(live, client, ME, None, clock, Pace())
        there = registered(live, client, ME, RoomId("!r"), clock, Pace())
        for each in (alone, there):
            each.hear(Heard(), START_MS + 5)
            each.changed()

        assert [each.book.now() for each in (alone, there)] == [START_MS + 5] * 2
        assert (alone.presence, there.presence is None) == (None, False)
        assert [entry.user for entry, _ in alone.book.entries()] == [ME]
    finally:
        await client.close()
