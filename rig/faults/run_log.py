"""The run log: what really ran, written by the fake CLI, and when the daemon died, written by the rig.

{"what": "begun", "command": UUID, "pid": 7, "at": 12.5, "prompt": "…"}
{"what": "ended", "command": UUID, "pid": 7, "at": 13.1, "reason": "completed"}
{"what": "death", "at": 13.2}
{"what": "trouble", "at": 13.0, "until": 15.0}        the daemon could not write, or could not run
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.faults.prompts import parse

COMMIT_WITHIN = 5.0
"""Seconds from the end of a turn until the daemon must have written it down. It takes some 20 ms; the machine may be
busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn that began."""

    name: str
    pid: int
    begun: float
    ended: float | None = None
    completed: bool = False
    """It ended as it should, with the whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """All of it, in order."""

    turns: Sequence[Turn] = ()
    deaths: Sequence[float] = ()
    troubles: Sequence[tuple[float, float]] = ()

    def of(self, name: str) -> list[Turn]:
        """The turns of one prompt."""
        return [turn for turn in self.turns if turn.name == name]

    def was_written_down(self, turn: Turn) -> bool:
        """Whether the daemon must know that this turn ended.

        It must when it lived on for COMMIT_WITHIN after the end, and was not kept from writing or running meanwhile.
        """
        if turn.ended is None:
            return False
        until = min((death for death in self.deaths if death >= turn.ended), default=float("inf"))
        if any(start <= min(until, turn.ended + COMMIT_WITHIN) and end >= turn.ended for start, end in self.troubles):
            return False
        return until - turn.ended > COMMIT_WITHIN


def read(path: Path) -> RunLog:
    """The run log at `path`; one that is not there is empty."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    ends = {(line["command"], line["pid"]): line for line in lines if line["what"] == "ended"}
    turns = []
    for line in lines:
        asked = parse(line["prompt"]) if line["what"] == "begun" else None
        if asked is not None:
            end = ends.get((line["command"], line["pid"]))
            turns.append(
                Turn(
                    name=asked.name,
                    pid=line["pid"],
                    begun=line["at"],
                    ended=None if end is None else end["at"],
                    completed=end is not None and end["reason"] == "completed",
                )
            )
    return RunLog(
        turns=turns,
        deaths=[line["at"] for line in lines if line["what"] == "death"],
        troubles=[(line["at"], line["until"]) for line in lines if line["what"] == "trouble"],
    )


def note_death(path: Path) -> None:
    """The daemon has just died, however."""
    _append(path, what="death", at=time.time())


def note_trouble(path: Path, start: float) -> None:
    """From `start` until now the daemon could not do its work."""
    _append(path, what="trouble", at=start, until=time.time())


def _append(path: Path, **line: object) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(log, json.dumps(line).encode() + b"\n")
    finally:
        os.close(log)
