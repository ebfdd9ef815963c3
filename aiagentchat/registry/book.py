"""The directory in memory: what the syncs tell of the registry room, and who is here.

Nobody is asked while somebody reads it. An age is counted by the homeserver's clock, as the last sync told it, and goes
on by ours; a date in the future counts as the moment in which we heard of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import (
    MOST_INSTANCES,
    MOST_SESSIONS,
    Heard,
    Instance,
    InstanceKind,
    Pace,
    Told,
    is_there,
    place,
)
from aiagentchat.core.meta import Address, is_instance_name
from aiagentchat.core.ports.clock import Bell, Clock

DEAF_SECONDS = 180.0
"""Longer than any sync waits for news. Without one for so long, nobody else is known to be there."""

log = structlog.get_logger(__name__)

_Key = tuple[UserId, InstanceName]


class Book:
    """The Directory port."""

    def __init__(self, own: Callable[[], Instance], clock: Clock, bell: Bell, pace: Pace | None = None) -> None:
        """`own`: the entry of this daemon, as it is now. `bell` rings when a session has come or gone."""
        self._own = own
        self._clock = clock
        self._bell = bell
        self._pace = pace or Pace()
        self._told: dict[_Key, Instance] = {}
        self._sessions: dict[InstanceName, Instance] = {}
        self._members: set[UserId] | None = None
        """Who is in the room; None while nobody has asked."""
        self._spare: list[Instance] | None = None
        """Who may be forgotten for somebody new, the oldest last; None while nobody has looked."""
        self._now_ms: int | None = None
        self._heard_at = clock.monotonic()

    # --- what is heard

    def take(self, heard: Heard, now: int | None) -> None:
        """What a sync tells, at `now` by the homeserver's clock if it said so."""
        if now is not None:
            self._now_ms = now
        elif self._now_ms is not None:
            self._now_ms = self.now()
        self._heard_at = self._clock.monotonic()
        if heard.is_out:
            self._told.clear()
            self._members = None
        for user, is_in in heard.moved.items():
            self._move(user, is_in=is_in)
        self._spare = None
        ignored = Counter((told.by, told.why or "too_many") for told in heard.told if not self._take(told))
        for (by, why), count in ignored.items():
            log.warning("registry.entry_ignored", sender=by, why=why, count=count)

    def only(self, members: Iterable[UserId]) -> None:
        """These are in the room, and nobody else."""
        self._members = set(members)

    def _move(self, user: UserId, *, is_in: bool) -> None:
        if self._members is not None:
            (self._members.add if is_in else self._members.discard)(user)

    def _take(self, told: Told) -> bool:
        """Whether it was an entry of whoever said it, or the end of one, and could be kept."""
        found = place(told.key)
        if found is None or found.instance is None or told.is_forged:
            return False
        key = (found.user, found.instance)
        self._told.pop(key, None)
        if told.entry is None:
            return not told.why
        if len(self._told) >= MOST_INSTANCES and not self._make_room():
            return False
        self._told[key] = replace(told.entry, seen_at=min(told.entry.seen_at, self.now()))
        return True

    def _make_room(self) -> bool:
        """Forget whoever has been away for the longest time; whether there was somebody."""
        if self._spare is None:  # looked for once in a batch: a room may tell of many
            away = [entry for entry, is_there_now in self._others() if not is_there_now]
            self._spare = sorted(away, key=lambda entry: entry.seen_at, reverse=True)
        while self._spare:
            oldest = self._spare.pop()
            key = (oldest.user, oldest.name)
            if self._told.get(key) is oldest:  # and has not come back meanwhile
                del self._told[key]
                return True
        return False

    # --- the port

    @property
    def own(self) -> Address:
        """This daemon's own address."""
        return self._own().address

    def now(self) -> int:
        """Milliseconds by the homeserver's clock; by ours while it has not said any."""
        if self._now_ms is None:
            return self._clock.now_ms()
        return self._now_ms + round((self._clock.monotonic() - self._heard_at) * 1000)

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """Everybody, and whether each is there."""
        here = [(entry, True) for entry in self._here()]
        known = {(entry.user, entry.name) for entry, _ in here}
        others = [pair for pair in self._others() if (pair[0].user, pair[0].name) not in known]
        return sorted([*here, *others], key=lambda pair: (not pair[1], pair[0].user, pair[0].name))

    def find(self, address: Address) -> tuple[Instance, bool] | None:
        """Who has the address, and whether they are there."""
        fitting = [pair for pair in self.entries() if _fits(pair[0], address)]
        return max(fitting, key=_preferred, default=None)

    def register_session(
        self, name: InstanceName, *, rooms: Sequence[str] = (), skills: Sequence[str] = ()
    ) -> Instance:
        """Somebody speaks through us as `name` from now on."""
        own = self._own()
        if not is_instance_name(name):
            raise ExchangeRefused("invalid", "an instance is named with a-z, 0-9, `.`, `_` and `-`, at most 64 of them")
        if name in self._sessions or name == own.name:
            raise ExchangeRefused("conflict", f"somebody here speaks as {name} already; choose another name")
        if len(self._sessions) >= MOST_SESSIONS:
            raise ExchangeRefused("full", f"{MOST_SESSIONS} sessions speak through this daemon, which is all it takes")
        entry = replace(
            own, name=name, kind=InstanceKind.SESSION, rooms=tuple(rooms), skills=tuple(skills), via=own.name
        )
        self._sessions[name] = entry
        self._bell.ring()
        return entry

    def remove_session(self, name: InstanceName) -> None:
        """They have gone."""
        if self._sessions.pop(name, None) is not None:
            self._bell.ring()

    # --- for whoever writes it down

    def sessions(self) -> Sequence[Instance]:
        """Those that speak through us now."""
        return [*self._sessions.values()]

    def left_behind(self) -> Sequence[Instance]:
        """Sessions of this daemon that an earlier life has not taken back, or that have gone."""
        own = self._own()
        return [
            entry
            for (user, name), entry in self._told.items()
            if user == own.user and entry.via == own.name and name not in self._sessions
        ]

    def _here(self) -> Iterable[Instance]:
        now = self.now()
        return (replace(entry, seen_at=now) for entry in (self._own(), *self._sessions.values()))

    def _others(self) -> Iterable[tuple[Instance, bool]]:
        now = self.now()
        is_deaf = self._clock.monotonic() - self._heard_at > DEAF_SECONDS
        for (user, _), entry in self._told.items():
            via = None if entry.via is None else self._told.get((user, entry.via))
            is_member = self._members is None or user in self._members
            yield entry, is_member and not is_deaf and is_there(entry, via, now, self._pace.ttl)


def _fits(entry: Instance, address: Address) -> bool:
    return entry.user == address.user and address.instance in (None, entry.name)


def _preferred(pair: tuple[Instance, bool]) -> tuple[bool, bool, int]:
    """Who is there before who is not, daemons before sessions, the last heard of."""
    entry, is_there_now = pair
    return is_there_now, entry.kind is InstanceKind.DAEMON, entry.seen_at
