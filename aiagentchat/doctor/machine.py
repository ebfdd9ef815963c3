"""Checks of what is on this machine: settings, secrets, folders, database, the agent's program."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.agents.claude_code.binary import MEASURED, check, find
from aiagentchat.app.owner import owner_pid
from aiagentchat.config.folders import exists
from aiagentchat.config.secrets import Secrets, load_secrets, missing_model_key
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable, ConfigError
from aiagentchat.doctor.examine import Check, aside
from aiagentchat.doctor.rows import Row, fail, ok, unknown, warn
from aiagentchat.store.files import files_of
from aiagentchat.store.glance import Known
from aiagentchat.store.maintenance import look_through

LITTLE_BYTES = 1 << 30
"""With less free space than this it is time to look."""
TOO_LITTLE_BYTES = 100 << 20
"""With less than this, writing will soon fail."""
DATABASE_SECONDS = 120.0

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH
_READ = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who is examined."""

    settings: Settings
    environ: Mapping[str, str]
    known: Known
    """What its database says."""
    closed: Path | None = None
    """The folder of its secrets, where it is closed to us."""

    @property
    def secrets(self) -> Secrets:
        """Those that are given. Raises ConfigError."""
        return load_secrets(self.environ)

    def workspaces(self) -> dict[str, Path]:
        """Of each room, by its name."""
        settings = self.settings
        return {
            room.name: settings.workspace_of(room, self.known.made.slugs.get(room.id, room.name))
            for room in settings.rooms
        }


def machine_checks(patient: Patient) -> list[Check]:
    """All of them."""
    settings = patient.settings

    async def file() -> list[Row]:
        return _file(settings)

    async def secrets() -> list[Row]:
        return secret_rows(patient.environ, has_login=patient.known.login is not None, closed=patient.closed)

    async def key() -> list[Row]:
        missing = missing_model_key(patient.secrets)
        if missing and patient.closed is not None:
            return [
                unknown(
                    "agent.key", f"Not known: {patient.closed} is closed to this user. Whether it works, a turn shows."
                )
            ]
        if missing:
            return [fail("agent.key", "Without a key nothing is answered.", missing)]
        return [ok("agent.key", "There is a key for the model. It was not used: whether it is good, a turn will show.")]

    async def disk() -> list[Row]:
        return await aside(lambda: list(_disk(settings)))

    async def modes() -> list[Row]:
        return await aside(lambda: [_modes(patient)])

    async def database() -> list[Row]:
        return await aside(lambda: [_database(settings.database)])

    async def user() -> list[Row]:
        return await aside(lambda: [user_row(settings.data_dir, _owner(settings.data_dir), os.geteuid())])

    async def daemon() -> list[Row]:
        return [_daemon(owner_pid(settings.data_dir))]

    return [
        Check(id="config.file", ask=file),
        Check(id="config.secrets", ask=secrets),
        *(
            _agent_check(name, agent.binary, patient.environ, settings.data_dir)
            for name, agent in settings.agents.items()
        ),
        Check(id="agent.key", ask=key),
        Check(id="machine.user", ask=user),
        Check(id="machine.daemon", ask=daemon),
        Check(id="machine.disk", ask=disk),
        Check(id="machine.modes", ask=modes),
        Check(id="machine.database", ask=database, within=DATABASE_SECONDS),
    ]


def _file(settings: Settings) -> list[Row]:
    rooms = settings.rooms
    if not rooms:
        return [warn("config.file", f"{settings.file} has no rooms: nothing is answered.", "Add a room to `rooms`.")]
    me = {settings.matrix.user_id}  # what it says itself it does not answer
    empty = [room.name for room in rooms if not (room.users | room.admins) - me]
    if empty:
        names = ", ".join(empty)
        return [
            warn("config.file", f"Nobody may use {names}.", "Add `users` or `admins` to the room or to `defaults`.")
        ]
    return [ok("config.file", f"{settings.file}: {len(rooms)} room{'' if len(rooms) == 1 else 's'}.")]


def secret_rows(environ: Mapping[str, str], *, has_login: bool, closed: Path | None = None) -> list[Row]:
    """Whether the secrets can be used, and whether others can read their files."""
    try:
        secrets = load_secrets(environ)
    except ConfigError as error:
        return [fail("config.secrets", " ".join(error.problems), "Correct it; no secret was printed or changed.")]
    found = ", ".join(secrets.found) or "none"
    if closed is not None:
        return [
            unknown(
                "config.secrets", f"Found: {found}; {closed} is closed to this user, and the daemon has what is in it."
            )
        ]
    if not (has_login or secrets.matrix_access_token or secrets.matrix_password):
        return [
            fail(
                "config.secrets",
                f"Found: {found}. There is no login for Matrix, neither here nor from an earlier start.",
                "Set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD, or one of them as …_FILE.",
            )
        ]
    return [ok("config.secrets", f"Found: {found}. Files of secrets can be read by their owner alone.")]


def _agent_check(name: str, binary: str, environ: Mapping[str, str], data_dir: Path) -> Check:
    id_ = f"agent.{name}"

    async def ask() -> list[Row]:
        try:
            found = await check(find(binary, environ, data_dir))
        except AgentUnavailable as error:
            return [fail(id_, f"{error}.", "Install Claude Code, or set `binary` of this agent in config.yaml.")]
        version = ".".join(map(str, found.version))
        measured = ".".join(map(str, MEASURED))
        remark = "" if found.version == MEASURED else f" (the tests run {measured})"
        return [ok(id_, f"{found.path}: version {version}{remark}.")]

    return Check(id=id_, ask=ask, within=30.0)


def _daemon(pid: int | None) -> Row:
    if pid is None:
        return ok("machine.daemon", "No daemon runs on this data_dir.")
    return ok("machine.daemon", f"A daemon runs on this data_dir (pid {pid}).")


def user_row(folder: Path, owner: int | None, me: int) -> Row:
    """Whether we are who the daemon is; `owner` has its folder, if there is one."""
    id_ = "machine.user"
    if owner is None or owner == me:
        return ok(id_, f"This looks as uid {me}, as the daemon that owns {folder} does or would.")
    return warn(
        id_,
        f"This looks as uid {me}, and {folder} belongs to uid {owner}: what is said here may not hold for the daemon.",
        f"Run it as the daemon's user: sudo -u '#{owner}' aiagentchat doctor",
    )


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def _disk(settings: Settings) -> Iterator[Row]:
    for name, folder in (("data_dir", settings.data_dir), ("workspaces", settings.workspaces)):
        there = next(path for path in (folder, *folder.parents) if exists(path))
        yield space(f"machine.disk.{name}", folder, shutil.disk_usage(there).free)


def space(id_: str, folder: Path, free: int) -> Row:
    """The row for a folder with so many bytes left."""
    said = f"{folder}: {free / (1 << 30):.1f} GiB free."
    if free < TOO_LITTLE_BYTES:
        return fail(id_, said, "Make room: soon nothing can be written, and turns stop.")
    if free < LITTLE_BYTES:
        return warn(id_, said, "Make room before it runs full.")
    return ok(id_, said)


def _modes(patient: Patient) -> Row:
    problems = list(_wrong_modes(patient))
    if problems:
        sentences, commands = zip(*problems, strict=True)
        return fail("machine.modes", " ".join(sentences), f"Run: {' && '.join(commands)}")
    return ok("machine.modes", "Nobody else can read the daemon's files or change the rooms' folders.")


def _wrong_modes(patient: Patient) -> Iterator[tuple[str, str]]:
    """What others may do that they should not, and the command against it."""
    settings = patient.settings
    # Rooms with users of their own must get through data_dir to their HOME; listing it is not needed for that.
    for folder in (settings.data_dir, settings.data_dir / "homes"):
        if (mode := _mode(folder)) & (_READ | _WRITE):
            yield f"Others may look into {folder} (mode {mode:o}).", f"chmod go-rw {folder}"
    for file in files_of(settings.database):
        if (mode := _mode(file)) & _OTHERS:
            yield f"Others may read {file} (mode {mode:o}).", f"chmod 600 {file}"
    for folder in (settings.workspaces, *patient.workspaces().values()):
        if (mode := _mode(folder)) & _WRITE:
            yield f"Others may change {folder} (mode {mode:o}).", f"chmod go-w {folder}"
    if (mode := _mode(settings.file)) & _WRITE:
        yield f"Others may change {settings.file} (mode {mode:o}).", f"chmod go-w {settings.file}"


def _mode(path: Path) -> int:
    """Its permissions; those of what is not there yet are nothing to complain about."""
    try:
        return stat.S_IMODE(os.lstat(path).st_mode)
    except FileNotFoundError:
        return 0


def _database(path: Path) -> Row:
    if not path.exists():
        return unknown("machine.database", f"There is no database at {path} yet: the first start makes it.")
    if problems := look_through(path):
        return warn("machine.database", " ".join(problems), "Please report it as a bug; the database can be read.")
    return ok("machine.database", f"{path} is sound.")
