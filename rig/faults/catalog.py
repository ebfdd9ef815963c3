"""Every fault that there is."""

from collections.abc import Sequence

from rig.faults.disk import disk
from rig.faults.flood import Flood
from rig.faults.kill import kills
from rig.faults.kinds import Fault
from rig.faults.network import network
from rig.faults.outage import Outage
from rig.faults.twins import Twins

NETWORK_TRIES = 300
ASKED_ONLY: tuple[str, ...] = ()
"""Groups that are left out unless they are named: what the daemon makes no promise about yet."""


def catalog() -> list[Fault]:
    """All of them, in the order of the report."""
    return [*kills(), *network(NETWORK_TRIES), Outage(), *disk(), Flood(), Twins()]


def chosen(names: Sequence[str]) -> list[Fault]:
    """Those whose name begins with one of `names`; without names all that the daemon makes a promise about.

    Raises ValueError for a name that fits none.
    """
    every = catalog()
    for name in names:
        if not any(fits(fault, name) for fault in every):
            known = ", ".join(dict.fromkeys(fault.group for fault in every))
            raise ValueError(f"no fault is called {name!r}; there are: {known}")
    if not names:
        return [fault for fault in every if fault.group not in ASKED_ONLY]
    return [fault for fault in every if any(fits(fault, name) for name in names)]


def fits(fault: Fault, name: str) -> bool:
    """Whether `name` means this fault, or its group."""
    return fault.name.startswith(name) or fault.group.startswith(name)
