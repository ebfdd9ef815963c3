"""One raid in one lab: what it said, and what was seen of it from outside."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiagentchat.core.errors import AppError
from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.attacks import Attack
from aiagentchat.doctor.cells import start
from aiagentchat.doctor.judge import Report, Sighting
from aiagentchat.doctor.lab import NOBODY_ELSE, Lab, Users, lab
from aiagentchat.doctor.raid import shared
from aiagentchat.doctor.raid.tools import libc
from aiagentchat.process.lines import TooLong
from aiagentchat.process.tree import Tree

READY_SECONDS = 15.0
"""How long a decoy may take to stand."""
RAID_SECONDS = 120.0
"""How long all attacks together may take; as a rule it is a second or two."""
ANSWER_SECONDS = 5.0
_LOOK_SECONDS = 0.2
"""How often it is looked whether a silent program has ended."""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from raid.{} import main; main(*sys.argv[2:3])"
_SYSTEM_PYTHON = Path("/usr/bin/python3")
_SYSTEM = Path("/usr")

Progress = Callable[[int, int], None]
"""Told how many attacks are over, and of how many."""


class RaidFailed(AppError):
    """The attacks could not be tried; nothing is known about what holds."""


@dataclass(slots=True)
class _Program:
    """A decoy or the raid, and what it says."""

    name: str
    tree: Tree
    said: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    heard: set[str] = field(default_factory=set)
    """The attacks that have reached it."""

    async def listen(self) -> None:
        """Until it ends."""
        async for line in self.tree.lines():
            if isinstance(line, TooLong):
                continue
            if line.startswith(b"heard "):
                self.heard.add(line.decode("ascii", "replace").removeprefix("heard "))
            else:
                with suppress(ValueError):
                    self.said.put_nowait(json.loads(line))

    async def told(self, orders: dict[str, Any], within: float) -> dict[str, Any]:
        """Tell it something, and return what it says to that. Raises RaidFailed."""
        await self.tree.write(json.dumps(orders).encode())
        return await self.next(within)

    async def next(self, within: float) -> dict[str, Any]:
        """What it says next. Raises RaidFailed if it ends, or says nothing in time."""
        deadline = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < deadline:
            with suppress(TimeoutError):
                return await asyncio.wait_for(self.said.get(), _LOOK_SECONDS)
            if self.tree.gone.is_set() and self.said.empty():
                why = self.tree.last_words.strip().splitlines()[-1:] or [f"exit code {self.tree.exit_code}"]
                raise RaidFailed(f"{self.name} ended at once: {why[0][:300]}")
        raise RaidFailed(f"{self.name} did not answer within {within:.0f} s")


async def assault(
    isolation: Isolation,
    attacks: Sequence[Attack],
    *,
    users: Users = NOBODY_ELSE,
    progress: Progress = lambda done, of: None,  # noqa: ARG005
    place: Path | None = None,
) -> Sighting:
    """Try `attacks` in a sandbox of this kind. Raises RaidFailed if they cannot be tried.

    Nothing is left of it, however it ends: the decoys end with their trees, their folder and objects are removed.
    """
    try:
        with lab(users, place=place) as built:
            async with asyncio.timeout(RAID_SECONDS), asyncio.TaskGroup() as group:
                return await Assault(built, isolation, group).carry_out(attacks, progress)
    except TimeoutError as error:
        raise RaidFailed(f"the attacks were not over within {RAID_SECONDS:.0f} s") from error
    except OSError as error:
        raise RaidFailed(f"the attacks could not be tried: {error}") from error
    except ExceptionGroup as group:
        raise RaidFailed(str(_first(group))) from group


def _first(error: Exception) -> Exception:
    """The first reason in a group, one of ours before all others."""
    while isinstance(error, ExceptionGroup):
        error = (error.subgroup(AppError) or error).exceptions[0]
    return error


class Assault:
    """The decoys and the raid of one lab, while they run."""

    def __init__(self, lab: Lab, isolation: Isolation, group: asyncio.TaskGroup) -> None:
        self._lab = lab
        self._isolation = isolation
        self._group = group
        self._running: list[_Program] = []
        self.made: dict[str, Any] = {}
        """What the decoy daemon says that it has."""

    async def carry_out(self, attacks: Sequence[Attack], progress: Progress) -> Sighting:
        """All of it."""
        try:
            return await self._carry_out(attacks, progress)
        finally:
            for program in self._running:
                program.tree.end()
            _remove_objects(self.made)

    async def _carry_out(self, attacks: Sequence[Attack], progress: Progress) -> Sighting:
        lab = self._lab
        daemon = await self._daemon()
        run, run_pid = await self._run()
        files, process = lab.state(), _state(self.made)
        orders = {
            "ids": [attack.id for attack in attacks],
            "tag": lab.tag,
            "paths": lab.paths,
            "workspace": str(lab.folder / "rooms" / "a"),
            "daemon": self.made,
            "run": run_pid,
        }
        reports = await self._raid(orders, progress)
        # Asked twice: the answer to the first may overtake what was on its way.
        for program in (daemon, run, run, daemon):
            answer = await program.told({}, ANSWER_SECONDS)
        touched = {id_ for id_, was in files.items() if lab.state()[id_] != was} | daemon.heard | run.heard
        touched |= {id_ for id_, now in _state(self.made).items() if now != process[id_]}
        touched |= {"process.vm_write"} if answer.get("memory") == "raided" else set()
        return Sighting(
            isolation=self._isolation,
            reports=reports,
            touched=frozenset(touched),
            secrets=frozenset(lab.secrets.values()),
        )

    async def _daemon(self) -> _Program:
        """As the daemon's own user, and in no sandbox, as the real one."""
        lab = self._lab
        argv = [*_python_words("decoy", lab), "daemon", f"{lab.tag}{lab.marker('argv')}"]
        env = _environment(lab.data, DECOY_SECRET=f"{lab.tag}{lab.marker('environ')}")
        program = self._keep("the decoy daemon", await Tree.start(argv, env=env, cwd=lab.data))
        names = ("memory", "shm", "msg", "mq", "key", "tcp", "tcp6", "unix", "abstract")
        paths = {
            "file": str(lab.data / "open"),
            "mapped": str(lab.data / f"{lab.tag}{lab.marker('mapped')}"),
            "socket": lab.paths["net.unix"],
        }
        orders = {"tag": lab.tag, "secrets": {name: lab.marker(name) for name in names}, "paths": paths}
        self.made = await program.told(orders, READY_SECONDS)
        return program

    async def _run(self) -> tuple[_Program, int]:
        """Another room's run, kept in as the attacker is."""
        lab = self._lab
        cell = lab.cell("b", lab.users.victim, *_python_files())
        argv = [*_python_words("decoy", lab), "run", f"{lab.tag}{lab.marker('run argv')}"]
        env = _environment(cell.home, DECOY_SECRET=f"{lab.tag}{lab.marker('run environ')}")
        program = self._keep("the other room", await start(self._isolation, cell, argv, env))
        said = await program.told({}, READY_SECONDS)
        # In a namespace it does not know the number that others know it by.
        is_known = self._isolation is not Isolation.STRICT or program.tree.pid is None
        return program, int(said["pid"] if is_known else program.tree.pid or 0)

    async def _raid(self, orders: dict[str, Any], progress: Progress) -> dict[str, Report]:
        lab = self._lab
        cell = lab.cell("a", lab.users.attacker, *_python_files())
        argv = _python_words("main", lab)
        program = self._keep("the raid", await start(self._isolation, cell, argv, _environment(cell.home)))
        await program.tree.write(json.dumps(orders).encode())
        reports: dict[str, Report] = {}
        for _ in orders["ids"]:
            said = await program.next(READY_SECONDS)
            reports[said["id"]] = Report(did=said["did"] is True, saw=str(said["saw"]), error=str(said["error"]))
            progress(len(reports), len(orders["ids"]))
        return reports

    def _keep(self, name: str, tree: Tree) -> _Program:
        program = _Program(name, tree)
        self._running.append(program)
        self._group.create_task(program.tree.serve(), name=name)
        self._group.create_task(program.listen(), name=f"{name}: lines")
        return program


def _python() -> Path:
    """A Python that a sandbox can show to a room: one under /usr if there is one."""
    own = Path(os.path.realpath(sys.executable))
    return _SYSTEM_PYTHON if _SYSTEM_PYTHON.exists() and not own.is_relative_to(_SYSTEM) else own


def _python_files() -> tuple[Path, ...]:
    return () if _python().is_relative_to(_SYSTEM) else (Path(sys.base_prefix),)


def _python_words(module: str, lab: Lab) -> list[str]:
    return [str(_python()), "-B", "-I", "-S", "-E", "-c", _BOOT.format(module), str(lab.programs)]


def _environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home / "tmp"), **more}


def _state(made: dict[str, Any]) -> dict[str, object]:
    """What can be changed of the decoy daemon, by attack."""
    pid = int(made["pid"])
    return {
        "process.prlimit": resource.prlimit(pid, resource.RLIMIT_NOFILE),
        "process.priority": os.getpriority(os.PRIO_PROCESS, pid),
        "process.oom": Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"),
        "shared.sysv_sem": libc.semctl(int(made["sem"]), 0, shared.GETVAL),
    }


def _remove_objects(made: dict[str, Any]) -> None:
    """Those that do not end with the process that made them."""
    if not made:
        return
    libc.semctl(int(made["sem"]), 0, shared.IPC_RMID)
    libc.msgctl(int(made["msg"]), shared.IPC_RMID, None)
    with suppress(AttributeError, OSError):
        shared.librt().mq_unlink(str(made["mq"]).encode())
    with suppress(OSError):
        shared.forget_key(str(made["key"]))
