"""Who we are to other instances, and who of them is there."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aiagentchat import __version__
from aiagentchat.app.live import Live
from aiagentchat.app.owner import this_machine
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import Heard, Instance, InstanceKind, Pace, instance_name
from aiagentchat.core.ports.clock import Clock
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.instances import MatrixRegistryRoom
from aiagentchat.registry.book import Book
from aiagentchat.registry.presence import Presence
from aiagentchat.store.bell import EventBell


@dataclass(frozen=True, slots=True)
class Registered:
    """The directory, and whoever says in the registry room that we are there; nobody, where there is no such room."""

    book: Book
    presence: Presence | None

    def hear(self, heard: Heard, now: int | None) -> None:
        """What a sync tells of the registry room."""
        (self.book.take if self.presence is None else self.presence.hear)(heard, now)

    def changed(self) -> None:
        """The settings have changed."""
        if self.presence is not None:
            self.presence.changed()


def registered(live: Live, client: Client, me: UserId, room: RoomId | None, clock: Clock, pace: Pace) -> Registered:
    """As the settings say who we are. The life is a new one."""
    own, bell = own_instance(live, me), EventBell()
    book = Book(own, clock, bell, pace)
    if room is None:
        return Registered(book, None)
    there = MatrixRegistryRoom(client, room)
    return Registered(book, Presence(there, book, own, clock=clock, bell=bell, random=random.random, pace=pace))


def own_instance(live: Live, me: UserId) -> Callable[[], Instance]:
    """The entry of this daemon, as the settings are when somebody asks.

    Rooms that were made in chat are not named in it: that somebody has one is nobody else's business.
    """
    host, _ = this_machine()
    life = secrets.token_hex(8)

    def own() -> Instance:
        settings = live.current()
        return Instance(
            user=me,
            name=instance_name(settings.registry.instance or host),
            kind=InstanceKind.DAEMON,
            host=host,
            rooms=tuple(room.id for room in settings.rooms if room.made_by is None and room.id.startswith("!")),
            skills=settings.registry.skills,
            version=__version__,
            life=life,
        )

    return own
