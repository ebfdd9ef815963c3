"""Reads one line of orders from stdin, tries each attack in a process of its own, and says a line of JSON about each.

    {"id": "room.read", "did": true, "saw": "…", "error": ""}

What is said here is evidence, not a verdict: the lab judges it.
"""

import json
import os
import select
import signal
import sys
import time
from typing import Any

from . import files, kernel, network, processes, shared, system  # noqa: F401 - they register their attacks
from .tools import ATTACKS, MOST_SEEN, Targets

ATTACK_SECONDS = 5.0
"""How long one attack may take. Those that work take milliseconds."""


def main() -> None:
    """Carry the orders out."""
    orders = json.loads(sys.stdin.readline())
    targets = Targets(orders)
    for id_ in orders["ids"]:
        said = {"id": id_, "did": False, "saw": "", "error": "", **_alone(id_, targets)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _alone(id_: str, targets: Targets) -> "dict[str, Any]":
    """In a child, because an attack may change what its process is, or be killed for it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.write(writing, json.dumps(_tried(id_, targets)).encode())
        os._exit(0)
    os.close(writing)
    said = _heard(reading)
    os.close(reading)
    if said is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if said is None:
        return {"error": f"no end within {ATTACK_SECONDS:.0f} s"}
    if not said:
        return {"error": f"ended with status {os.waitstatus_to_exitcode(status)}"}
    told: dict[str, Any] = json.loads(said)
    return told


def _heard(reading: int) -> "bytes | None":
    """All that the child says; None if it does not end in time."""
    parts: list[bytes] = []
    deadline = time.monotonic() + ATTACK_SECONDS
    while select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 65_536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _tried(id_: str, targets: Targets) -> "dict[str, Any]":
    try:
        return {"did": True, "saw": ATTACKS[id_](targets, id_)[:MOST_SEEN]}
    except OSError as error:
        # Without the path, which says nothing here; but with the call, where we have put it before.
        return {"error": error.strerror or str(error) or type(error).__name__}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
