"""Stands where parts of the exchange are not there yet: nothing is read, given or found."""

# ruff: noqa: ARG002 - it does nothing with what it is asked

from collections.abc import Sequence

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.ids import InstanceName
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import Address


class OwnDirectory:
    """Knows this daemon alone."""

    def __init__(self, own: Address) -> None:
        self.own = own

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """This daemon."""
        name = self.own.instance or InstanceName("daemon")
        return [(Instance(user=self.own.user, name=name, kind=InstanceKind.DAEMON, host=""), True)]

    def find(self, address: Address) -> tuple[Instance, bool] | None:
        """This daemon, or nobody."""
        return next((each for each in self.entries() if address in (self.own, Address(self.own.user))), None)

    def register_session(
        self, name: InstanceName, *, rooms: Sequence[str] = (), skills: Sequence[str] = ()
    ) -> Instance:
        """Refused."""
        raise ExchangeRefused("unavailable", f"There is no registry for {name}.")

    def remove_session(self, name: InstanceName) -> None:
        """Nothing."""
