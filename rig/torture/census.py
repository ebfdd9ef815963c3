"""Who is there, seen from outside: read from /proc, with nothing of what it judges.

What belongs to a run is known by four signs: it is below the process that stands for the first one (`init.py`); it
carries a word in its argv; it carries one in its environment; or it is of a user that only this room has. A zombie has
no word: it counts by its parent, which is a process of ours that did not ask what became of its child.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

LOOK_EVERY = 0.02
"""Seconds between two looks. Whoever reads of a process in /proc makes its end a little longer."""
QUIET_LOOKS = 3
"""So many in a row must find nobody: one can miss who is born behind its back."""
ZOMBIE_FOR = 0.1
"""Seconds that a process may be a zombie: its parent must get to run."""
SURVIVES_AFTER = 5.0
"""Seconds after the deadline until who is still there counts as a survivor, and not as late."""
PROC = Path("/proc")

Identity: TypeAlias = tuple[int, int]
"""A number and when it was born: a number that is used again is another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process."""

    pid: int
    born: int
    """Ticks since the machine started."""
    parent: int
    name: str
    is_zombie: bool

    @property
    def identity(self) -> Identity:
        """Which one it is."""
        return self.pid, self.born


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of an end."""

    seconds: float
    """Until nobody was left."""
    survivors: tuple[str, ...] = ()
    """Who was not gone long after the deadline."""
    zombies: tuple[str, ...] = ()
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What belongs to one life of an owner."""

    roots: tuple[int, ...]
    """The process that stands for the first one; and those below it that are no part of what is judged."""
    words: tuple[str, ...] = ()
    uid: int | None = None

    def everybody(self) -> dict[Identity, Seen]:
        """Living and dead, by all signs. It reads all of /proc."""
        found = {each.identity: each for each in below(self.roots[0])}
        found |= {each.identity: each for each in marked(self.words, self.uid)}
        return found

    def left(self, spared: Collection[Identity] = (), *, thorough: bool = False) -> list[Seen]:
        """Who lives and is not spared: below the first process; by all signs if `thorough`."""
        found = self.everybody().values() if thorough else below(self.roots[0])
        living = [each for each in found if not each.is_zombie and each.pid not in self.roots]
        return [each for each in living if each.identity not in spared and not self._waits(each)]

    def _waits(self, seen: Seen) -> bool:
        """Whether it is a shim that has nothing to do yet, of an owner that lives: it ends with that."""
        return seen.parent not in self.roots and waits(seen.pid)

    def zombies(self) -> list[Seen]:
        """Who is dead and not asked after. Those of the roots are not ours: they ask at their leisure."""
        return [each for each in below(self.roots[0]) if each.is_zombie and each.parent not in self.roots]


def below(root: int) -> list[Seen]:
    """Every descendant, zombies too."""
    found: list[Seen] = []
    todo = [root]
    while todo:
        for pid in _children(todo.pop()):
            if (seen := look_at(pid)) is not None:
                found.append(seen)
                todo.append(pid)
    return found


def marked(words: Collection[str], uid: int | None = None) -> Iterator[Seen]:
    """Every living process of the machine with one of the words in argv or environment, or of that user. Not this one.

    Root sees all; others see the environment of their own.
    """
    signs = [word.encode() for word in words]
    for entry in os.scandir(PROC):
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        if _is_of(pid, uid) or any(sign in text for text in _texts(pid) for sign in signs):
            seen = look_at(pid)
            if seen is not None and not seen.is_zombie:
                yield seen


def with_word(root: int, word: str) -> int:
    """How many living descendants carry the word in their argv."""
    return sum(word.encode() in _read(each.pid, "cmdline") for each in below(root))


def argv(pid: int) -> list[str]:
    """Its command line; empty when it is gone."""
    return [word.decode("utf-8", "replace") for word in _read(pid, "cmdline").split(b"\0")[:-1]]


def waits(pid: int) -> bool:
    """Whether it is a shim that has started nothing."""
    return b"process.shim" in _read(pid, "cmdline") and not _children(pid)


def children(pid: int) -> list[Seen]:
    """Its living children."""
    found = map(look_at, _children(pid))
    return [each for each in found if each is not None and not each.is_zombie]


def look_at(pid: int) -> Seen | None:
    """None when it is gone."""
    before, _, after = _read(pid, "stat").rpartition(b")")
    fields = after.split()
    if not fields:
        return None
    name = before.partition(b"(")[2].decode("utf-8", "replace")
    return Seen(pid=pid, born=int(fields[19]), parent=int(fields[1]), name=name, is_zombie=fields[0] in b"ZX")


def describe(seen: Seen) -> str:
    """For a person who wonders what that is."""
    words = " ".join(argv(seen.pid))[-200:]
    state = "zombie" if seen.is_zombie else "alive"
    return f"{seen.pid} {seen.name} ({state}, child of {seen.parent}) {words}".rstrip()


@dataclass(slots=True, kw_only=True)
class Judge:
    """Watches an end. Made when it begins."""

    scene: Scene
    spared: Collection[Identity] = ()
    """Who may stay."""
    within: float
    """Seconds that the end may take."""
    survives_after: float = SURVIVES_AFTER
    began: float = field(default_factory=time.monotonic)

    def from_now(self, within: float, *, later: float = 0) -> "Judge":
        """The same, of an end that begins now, or so many seconds later."""
        return replace(self, within=within, began=time.monotonic() + later)

    async def verdict(self) -> Verdict:
        """Until nobody is left, or it is certain that somebody stays."""
        seconds = await self._until_gone()
        left = self.scene.left(self.spared, thorough=True)
        patience = time.monotonic() + self.survives_after
        # Out of sight of the first process; or begun since, as what looks at what a turn has changed: that ends.
        while left and seconds is not None and time.monotonic() < patience:
            await asyncio.sleep(LOOK_EVERY)
            left = self.scene.left(self.spared, thorough=True)
        zombies = await self._zombies()
        took = time.monotonic() - self.began if seconds is None or left else seconds
        return Verdict(
            seconds=took,
            survivors=tuple(map(describe, left)),
            zombies=tuple(map(describe, zombies)),
            is_late=took > self.within,
        )

    async def _until_gone(self) -> float | None:
        """Seconds from the beginning until the first of so many looks that found nobody."""
        quiet, since = 0, 0.0
        while quiet < QUIET_LOOKS:
            now = time.monotonic() - self.began
            if self.scene.left(self.spared):
                quiet = 0
                if now > self.within + self.survives_after:
                    return None
            else:
                since = since if quiet else now
                quiet += 1
            await asyncio.sleep(LOOK_EVERY)
        return since

    async def _zombies(self) -> list[Seen]:
        """Those that stay: who has just died is nobody's fault."""
        dead = {each.identity: each for each in self.scene.zombies()}
        if dead:
            await asyncio.sleep(ZOMBIE_FOR)
        still = {each.identity for each in self.scene.zombies()} if dead else set()
        return [each for identity, each in dead.items() if identity in still]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ends while we look
        for thread in os.listdir(PROC / str(pid) / "task"):  # noqa: PTH208 - Path.iterdir takes twice as long
            found += map(int, _read(pid, f"task/{thread}/children").split())
    return found


def _is_of(pid: int, uid: int | None) -> bool:
    if uid is None:
        return False
    try:
        return os.stat(PROC / str(pid)).st_uid == uid  # noqa: PTH116 - as above
    except OSError:
        return False


def _texts(pid: int) -> Iterator[bytes]:
    yield _read(pid, "cmdline")
    yield _read(pid, "environ")


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""
