"""Who is there, from memory: fed by the registry room's state, asked by callers, bot commands and the router."""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.ids import InstanceName
from aiagentchat.core.instances import Instance
from aiagentchat.core.meta import Address


class Directory(Protocol):
    """The registry, as far as the last sync told of it, and this daemon with the sessions that speak through it.

    Nothing here waits. Without a registry room there is only what is here.
    """

    @property
    def own(self) -> Address:
        """This daemon's own address."""
        ...

    def now(self) -> int:
        """Milliseconds by the homeserver's clock, to which `seen_at` belongs."""
        ...

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """Everybody, and whether each is there: those that are first, then by account and name."""
        ...

    def find(self, address: Address) -> tuple[Instance, bool] | None:
        """Who has the address, and whether they are there. Of an account without an instance: whoever is there.

        None: nobody has registered so. That is no proof that nobody listens.
        """
        ...

    def register_session(
        self, name: InstanceName, *, rooms: Sequence[str] = (), skills: Sequence[str] = ()
    ) -> Instance:
        """Somebody speaks through us as `name` from now on; returns the entry. The room hears of it a moment later.

        Raises ExchangeRefused: `invalid` for what is no name, `conflict` if the name is in use here, `full`.
        """
        ...

    def remove_session(self, name: InstanceName) -> None:
        """They have gone. Nothing happens if there is no such session."""
        ...
