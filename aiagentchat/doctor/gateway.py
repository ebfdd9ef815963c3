"""The door for programs: whether it is open, why not, and who may open its socket."""

import http.client
import os
import stat
from pathlib import Path

from aiagentchat.app.owner import owner_pid
from aiagentchat.config.settings import Settings
from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.examine import Check, aside
from aiagentchat.doctor.rows import Row, fail, ok, unknown, warn
from aiagentchat.gateway.asking import UNANSWERED, ask_at_port, ask_at_socket
from aiagentchat.gateway.service import APART, SOCKET, is_wanted
from aiagentchat.gateway.tokens import FOLDER

GATEWAY = "machine.gateway"
ANSWER_SECONDS = 5.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OPEN_IT = "`gateway: {enabled: true}` opens it all the same"


def gateway_check(settings: Settings, isolation: Isolation | None) -> Check:
    """Looked at and asked; `isolation` is what the daemon would choose, None: nothing is run."""

    async def ask() -> list[Row]:
        return [await aside(lambda: _gateway(settings, isolation))]

    return Check(id=GATEWAY, ask=ask, within=3 * ANSWER_SECONDS)


def _gateway(settings: Settings, isolation: Isolation | None) -> Row:
    said, path = settings.gateway, settings.data_dir / FOLDER / SOCKET
    if said.enabled is None and isolation is None:
        return unknown(GATEWAY, "Whether there is one depends on the isolation, and none is chosen.")
    wanted = is_wanted(settings, isolation or Isolation.NONE)
    runs = owner_pid(settings.data_dir) is not None
    if runs and _answers(path) is not wanted:
        return _not_as_it_should(path, wanted=wanted)
    if not wanted and said.enabled is not None:
        return ok(GATEWAY, "Off, as config.yaml says.")
    if not wanted:
        return ok(GATEWAY, f"Off, because in {isolation} what runs in a room could get at it; {_OPEN_IT}.")
    if problem := _too_open(path):
        return problem
    return _open(path, said.port, isolation, runs=runs)


def _open(path: Path, port: int, isolation: Isolation | None, *, runs: bool) -> Row:
    if runs and port and not _is_at(port):
        return warn(
            GATEWAY,
            f"It listens at {path}, and not at 127.0.0.1:{port}, which something else has.",
            "Give it another `port` (gateway.port), or end what has that one, and start the daemon again.",
        )
    where = f"{path} and 127.0.0.1:{port}" if port else f"{path}"
    listens = f"It listens at {where}" if runs else f"No daemon runs; it will listen at {where}"
    if isolation not in APART:
        return warn(
            GATEWAY,
            f"{listens}, where what runs in a room could get at it (isolation: {isolation or 'none that works'}).",
            "Make strict work, or take `enabled: true` (gateway.enabled) away.",
        )
    return ok(GATEWAY, f"{listens}; the socket is the daemon's alone." if runs else f"{listens}.")


def _not_as_it_should(path: Path, *, wanted: bool) -> Row:
    if wanted:
        return fail(
            GATEWAY,
            f"It should be open, and does not answer at {path}.",
            "The daemon's log says why (gateway.not_open); what was changed in config.yaml needs a restart.",
        )
    return warn(GATEWAY, f"It is open at {path}, and should not be.", "What was changed needs a restart of the daemon.")


def _answers(path: Path) -> bool:
    try:
        status, _ = ask_at_socket(path, "/health", token=None, within=ANSWER_SECONDS)
    except UNANSWERED:
        return False
    return status == http.client.OK


def _is_at(port: int) -> bool:
    """Whether a gateway has it, as far as can be told without a token."""
    try:
        status, said = ask_at_port(port, "/health", within=ANSWER_SECONDS)
    except UNANSWERED:
        return False
    return status == http.client.OK and "status" in said


def _too_open(path: Path) -> Row | None:
    """Others may not get at the socket: neither by its own mode nor by that of its folder."""
    for place, mode in ((path.parent, "700"), (path, "600")):
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return None
        if found.st_mode & _OTHERS:
            said = f"Others may get at {place} (mode {stat.S_IMODE(found.st_mode):o})."
            return fail(GATEWAY, said, f"Run: chmod {mode} {place}")
    return None
