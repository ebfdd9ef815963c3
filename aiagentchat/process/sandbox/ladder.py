"""Which way of keeping a run in works on this machine: found out by trying it, never by version numbers.

A try starts a real cell with a real process and looks, from the inside, for what must not be there. It fails closed:
what cannot be shown to work does not.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.core.errors import IsolationRefused
from aiagentchat.core.isolation import LADDER, Isolation
from aiagentchat.process.inside import landlock
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import bubblewrap, enclose
from aiagentchat.process.sandbox.furnish import furnish
from aiagentchat.process.tree import Tree

TRY_SECONDS = 10.0
"""How long one try may take; it is done in a twentieth of a second where it works."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a try finds its programs by."""

_TRY = r"""
import os, sys
outside, mine = sys.argv[1:]
def can(path, flags):
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True
print("reads", can(outside, os.O_RDONLY))
print("writes", can(outside, os.O_WRONLY))
print("works", can(mine + "/made", os.O_CREAT | os.O_WRONLY))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One way, and what came of it."""

    isolation: Isolation
    works: bool
    why: str = ""
    """What was seen when it does not work."""
    fix: tuple[str, ...] = ()
    """What the operator can do about it, a line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What runs are kept in, and what was tried on the way there."""

    isolation: Isolation
    tried: tuple[Tried, ...]
    landlock_abi: int = 0


async def choose(wanted: str, minimum: Isolation, *, folder: Path, uid: int | None = None) -> Choice:
    """Try `wanted` (`auto`: each way, the best first) in a folder beneath `folder`. Raises IsolationRefused.

    `uid` is one that a room may become; needed for `users`, and for `strict` when we are root.
    """
    tried: list[Tried] = []
    ways = LADDER if wanted == "auto" else (Isolation(wanted),)
    for isolation in (way for way in ways if way.is_at_least(minimum)):
        result = await attempt(isolation, folder=folder, uid=uid)
        tried.append(result)
        if result.works:
            return Choice(isolation=isolation, tried=tuple(tried), landlock_abi=landlock.abi())
    raise IsolationRefused(_refusal(wanted, minimum, tried))


async def attempt(isolation: Isolation, *, folder: Path, uid: int | None = None) -> Tried:
    """Whether one way works here."""
    if (missing := _missing(isolation, uid)) is not None:
        return missing
    uid = uid if isolation in {Isolation.STRICT, Isolation.USERS} and os.geteuid() == 0 else None
    place = Path(tempfile.mkdtemp(prefix="try.", dir=folder))
    try:
        why = await _try(isolation, place, uid)
    except OSError as error:
        why = str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Tried(isolation=isolation, works=not why, why=why, fix=_fix(isolation, why))


def _missing(isolation: Isolation, uid: int | None) -> Tried | None:
    """What can be said without a try."""
    match isolation:
        case Isolation.STRICT if bubblewrap() is None:
            return Tried(isolation=isolation, works=False, why="bubblewrap is not installed", fix=INSTALL)
        case Isolation.USERS if os.geteuid() != 0 or uid is None:
            return Tried(isolation=isolation, works=False, why="only a daemon that runs as root can change users")
        case Isolation.USERS | Isolation.LANDLOCK if landlock.abi() < 1:
            return Tried(isolation=isolation, works=False, why="this kernel has no Landlock (5.13 has, when enabled)")
        case _:
            return None


async def _try(isolation: Isolation, place: Path, uid: int | None) -> str:
    """What does not work; empty if all does."""
    cell, command = _stage(place, uid)
    said, words, code = await run(enclose(isolation, cell, command), cwd=cell.workspace, uid=uid)
    if code != 0:
        return words or f"exit code {code}"
    return _verdict(isolation, said)


def _stage(place: Path, uid: int | None) -> tuple[Cell, list[str]]:
    """A cell with a file outside of it, and a command that tells whether it can get there."""
    secret = place / "secret"
    secret.touch(mode=0o600)
    cell = Cell(workspace=place / "workspace", home=place / "home", uid=uid)
    place.chmod(0o711)
    for path in (cell.workspace, cell.home):
        path.mkdir(mode=0o700)
        if uid is not None:
            os.chown(path, uid, uid)
    furnish(cell)
    python = os.path.realpath(sys.executable)
    return cell, [python, "-I", "-S", "-E", "-c", _TRY, str(secret), str(cell.workspace)]


async def run(command: Sequence[str], *, cwd: Path, uid: int | None) -> tuple[list[str], str, int | None]:
    """Stdout by lines, the end of stderr and the exit code of a command that is over soon, or ended."""
    said: list[str] = []
    tree = await Tree.start(command, env={"PATH": PATH, "HOME": str(cwd), "LANG": "C.UTF-8"}, cwd=cwd, uid=uid)
    try:
        async with asyncio.timeout(TRY_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(tree.serve(), name="try")
            async for line in tree.lines():
                said += [line.decode("utf-8", "replace")] if isinstance(line, bytes) else []
    except TimeoutError:
        return said, f"no answer in {TRY_SECONDS:.0f} s", None
    return said, tree.last_words.strip(), tree.exit_code


def _verdict(isolation: Isolation, said: Sequence[str]) -> str:
    if "works True" not in said:
        return "nothing can be written in the workspace"
    if isolation is not Isolation.NONE and ("reads False" not in said or "writes False" not in said):
        return "a file outside of the workspace can be opened"
    return ""


INSTALL = ("install it: apt-get install bubblewrap (Fedora: dnf install bubblewrap)",)
APPARMOR = (
    "this system's AppArmor keeps programs from making user namespaces; allow it for bubblewrap alone:",
    "  cp deploy/apparmor-bwrap /etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap",
)
CONTAINER = (
    "in a container, start it with",
    "  --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
    "or run the daemon as the container's root and set isolation_minimum: users",
)
USER_NAMESPACES = (
    "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000",
)
REACH = ("data_dir, workspaces and this program must lie where the users of the rooms can reach them, not under /root",)


def _fix(isolation: Isolation, why: str) -> tuple[str, ...]:
    if not why or isolation is not Isolation.STRICT:
        return REACH if "Permission denied" in why else ()
    if "uid map" in why or "RTM_NEWADDR" in why:
        return APPARMOR
    if "No permissions to create" in why or "Can't mount proc" in why or "Operation not permitted" in why:
        return (*CONTAINER, *USER_NAMESPACES)
    return REACH if "Permission denied" in why or "Can't find" in why else ()


def _refusal(wanted: str, minimum: Isolation, tried: Sequence[Tried]) -> str:
    """What the operator reads: what was tried, why it did not do, what to do."""
    lines = [f"isolation: {wanted} with isolation_minimum: {minimum} cannot be had here, so nothing is run."]
    for each in tried:
        lines.append(f"  {each.isolation}: {each.why}")
        lines += [f"    {line}" for line in each.fix]
    worse = [way for way in LADDER if not way.is_at_least(minimum)]
    if worse:
        lines.append(f"  Or accept less, if it is only for yourself: isolation_minimum: {worse[0]} in config.yaml.")
    return "\n".join(lines)
