"""Which way of keeping a run in works on this machine: found out by trying it, never by version numbers.

A try starts a real cell with a real process and looks, from the inside, for what must not be there. It fails closed:
what cannot be shown to work does not.
"""

import asyncio
import os
import shlex
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
from aiagentchat.process.sandbox.enclose import INSIDE, bubblewrap, enclose
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
_REACH = r"""
import os, sys
for path in sys.argv[1:]:
    at = ""
    try:
        for part in path.split("/")[1:]:
            os.stat(at + "/" + part)
            at += "/" + part
        closed = not os.access(at, os.X_OK if os.path.isdir(at) else os.R_OK)
    except OSError as error:
        closed = isinstance(error, PermissionError)  # what is not there yet, we make
    if closed:
        print(at)
        break
"""
"""Says what lets nobody through to one of the paths; nothing if all can be got at."""


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


async def choose(
    wanted: str, minimum: Isolation, *, folder: Path, uid: int | None = None, reach: Sequence[Path] = ()
) -> Choice:
    """Try `wanted` (`auto`: each way, the best first) in a folder beneath `folder`. Raises IsolationRefused.

    `uid` is one that a room may become; needed for `users`, and for `strict` when we are root. Then everything in
    `reach` must be open to it, too.
    """
    tried: list[Tried] = []
    ways = LADDER if wanted == "auto" else (Isolation(wanted),)
    for isolation in (way for way in ways if way.is_at_least(minimum)):
        result = await attempt(isolation, folder=folder, uid=uid, reach=reach)
        tried.append(result)
        if result.works:
            return Choice(isolation=isolation, tried=tuple(tried), landlock_abi=landlock.abi())
    raise IsolationRefused(_refusal(wanted, minimum, tried))


async def attempt(isolation: Isolation, *, folder: Path, uid: int | None = None, reach: Sequence[Path] = ()) -> Tried:
    """Whether one way works here."""
    if (missing := _missing(isolation, uid)) is not None:
        return missing
    uid = uid if isolation in {Isolation.STRICT, Isolation.USERS} and os.geteuid() == 0 else None
    if uid is not None and (kept_out := await _kept_out(isolation, uid, [folder, INSIDE / "main.py", *reach])):
        return kept_out
    place = Path(tempfile.mkdtemp(prefix="try.", dir=folder))
    try:
        why = await _try(isolation, place, uid)
    except OSError as error:
        why = str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Tried(isolation=isolation, works=not why, why=why, fix=_fix(isolation, why, engine()))


async def _kept_out(isolation: Isolation, uid: int, paths: Sequence[Path]) -> Tried | None:
    """What keeps the users of the rooms from `paths`, if anything does."""
    python = _python()
    said, _, code = await run([*python, _REACH, *map(str, paths)], cwd=Path("/"), uid=uid)
    if code != 0:
        why = f"{python[0]} could not be run as the user {uid}"
        return Tried(isolation=isolation, works=False, why=why, fix=POWERS)
    if said:
        why = f"{said[0]} is closed to the users of the rooms"
        return Tried(isolation=isolation, works=False, why=why, fix=_open_up(said[0]))
    return None


def _python() -> list[str]:
    return [os.path.realpath(sys.executable), "-I", "-S", "-E", "-c"]


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
    return cell, [*_python(), _TRY, str(secret), str(cell.workspace)]


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


INSTALL = ("apt-get install bubblewrap (Fedora: dnf install bubblewrap)",)
PROFILE = "apparmor-bwrap"
"""In `deploy/`, which lies beside the venv in a checkout, and in a release that deploy.sh has made."""
INTO_FORCE = "apparmor_parser -r /etc/apparmor.d/bwrap"
SAME_PROFILE = (
    "printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' "
    "'profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }' >/etc/apparmor.d/bwrap"
)
"""For where that file is not at hand."""
DOCKERS, PODMANS = Path("/.dockerenv"), Path("/run/.containerenv")
"""Files that are there in a container of theirs, and on no machine."""
OPTIONS = {
    "docker": "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined",
    "podman": "--security-opt seccomp=unconfined --security-opt unmask=ALL",
}
"""What lets bubblewrap work in a container."""
AS_ROOT = "or run the daemon as the container's root, --user 0:0 without --cap-drop, and set isolation_minimum: users"
ELSEWHERE = "in a container: docs/how-to/isolation.md, A container"
USER_NAMESPACES = (
    "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000",
    ELSEWHERE,
)
NOT_IN_A_UNIT = (
    "in a systemd unit, leave out ProtectKernelTunables=, ProtectKernelLogs=, ProcSubset=, RestrictNamespaces= and",
    "SystemCallFilter= without @mount",
    ELSEWHERE,
)
NO_CAPABILITIES = ("start it without capabilities: no --cap-add, no AmbientCapabilities=; an ordinary user needs none",)
POWERS = (
    "a daemon that runs as root must be able to change users: without --cap-drop, or with the capabilities",
    "CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID",
)
REACH = "data_dir, workspaces and programs must lie where the users of the rooms can get to them, not under /root;"


def brought_by(venv: Path) -> Path:
    """Where the profile lies if what is installed in `venv` has brought it along."""
    return venv.parent / "deploy" / PROFILE


def engine() -> str:
    """Whose container this is; empty on a machine, and in a container of somebody else."""
    if DOCKERS.exists():
        return "docker"
    # Its file is covered where a read-only container has a /run of its own.
    return "podman" if PODMANS.exists() or os.environ.get("container") == "podman" else ""  # noqa: SIM112 - its name


def _fix(isolation: Isolation, why: str, engine: str) -> tuple[str, ...]:
    """What is known to help against what bubblewrap says."""
    if not why or isolation is not Isolation.STRICT:
        return ()
    if "uid map" in why or "RTM_NEWADDR" in why:
        return _apparmor(engine)
    if "Unexpected capabilities" in why:
        return NO_CAPABILITIES
    if "No permissions to create" in why or "Can't mount proc" in why or "Operation not permitted" in why:
        if engine:
            return (f"start the container with {OPTIONS[engine]}", AS_ROOT)
        return USER_NAMESPACES if "No permissions to create" in why else NOT_IN_A_UNIT
    return ()


def _apparmor(engine: str) -> tuple[str, ...]:
    if engine:
        return (
            "the AppArmor of the machine itself keeps what it has no profile for from making user namespaces, and",
            "apparmor=unconfined does not help against that. On the machine, not in the container:",
            f"  {SAME_PROFILE} && {INTO_FORCE}",
            AS_ROOT,
        )
    brought = brought_by(Path(sys.prefix))
    copy = f"cp {shlex.quote(str(brought))} /etc/apparmor.d/bwrap" if brought.is_file() else SAME_PROFILE
    return (
        "this system's AppArmor keeps programs from making user namespaces; allow it for bubblewrap alone:",
        f"  {copy} && {INTO_FORCE}",
    )


def _open_up(closed: str) -> tuple[str, ...]:
    """It can be passed then, and still not be listed."""
    mode = "o+x" if Path(closed).is_dir() else "o+r"
    return (REACH, f"or let them through: chmod {mode} {shlex.quote(closed)}")


def _refusal(wanted: str, minimum: Isolation, tried: Sequence[Tried]) -> str:
    """What the operator reads: what was tried, why it did not do, what to do."""
    lines = [f"isolation: {wanted} with isolation_minimum: {minimum} cannot be had here, so nothing is run."]
    for each in tried:
        lines.append(f"  {each.isolation}: {each.why}")
        lines += [f"    {line}" for line in each.fix]
    worse = [way for way in LADDER if not way.is_at_least(minimum)]
    if Isolation.USERS in worse and os.geteuid() == 0:
        lines.append(f"  Or accept less: isolation_minimum: {Isolation.USERS} in config.yaml.")
    elif worse := [way for way in worse if way is not Isolation.USERS]:
        lines.append(f"  Or accept less, if it is only for yourself: isolation_minimum: {worse[0]} in config.yaml.")
    return "\n".join(lines)
