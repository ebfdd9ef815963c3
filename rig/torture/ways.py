"""The ways of keeping a run in, each with the user that it is meant for."""

import os
from dataclasses import dataclass

from aiagentchat.core.isolation import Isolation
from rig.unprivileged import as_unprivileged


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One of them."""

    name: str
    isolation: Isolation
    as_root: bool = False
    """Whether the owner is root, and the room has a user of its own."""

    @property
    def before(self) -> list[str]:
        """What stands before the argv of an owner."""
        return [] if self.as_root else as_unprivileged()

    @property
    def is_possible(self) -> bool:
        """Whether we can be who it is meant for. Whether it works is found out by trying it."""
        return not self.as_root or os.geteuid() == 0


WAYS = (
    Way(name="strict", isolation=Isolation.STRICT),
    Way(name="strict, of root", isolation=Isolation.STRICT, as_root=True),
    Way(name="users", isolation=Isolation.USERS, as_root=True),
    Way(name="landlock", isolation=Isolation.LANDLOCK),
    Way(name="none", isolation=Isolation.NONE),
)
