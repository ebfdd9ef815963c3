"""Who is in the rooms; tests/contract/test_members.py holds it to the real roster."""

from typing import Any

from aiagentchat.core.errors import MatrixError
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import Powers
from tests.fakes.changes import Changes

MADE_BY = UserId("@maker:hs")


def powers(levels: dict[str, Any] | None = None, *, version: str = "11", maker: UserId = MADE_BY) -> Powers:
    """What power comes from in a room of this version."""
    return Powers(create={"sender": maker, "content": {"room_version": version, "creator": maker}}, levels=levels)


class FakeMembers:
    """The Members port: everybody is in every room, until told otherwise."""

    def __init__(self) -> None:
        self.states: dict[RoomId, Powers] = {}
        self.gone: set[tuple[RoomId, UserId]] = set()
        self.trouble: MatrixError | None = None
        """What asking comes to."""
        self.asked: list[UserId] = []
        self.changes = Changes()
        """Told when somebody asks."""

    def powers(self, room: RoomId) -> Powers | None:
        """What power comes from."""
        return self.states.get(room)

    async def is_in(self, room: RoomId, user: UserId) -> bool:
        """Whether `user` is a member now."""
        self.asked.append(user)
        self.changes.tell()
        if self.trouble is not None:
            raise self.trouble
        return (room, user) not in self.gone
