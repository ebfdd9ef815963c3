"""A tree of some forty processes that do not want to end. `python torture.py MARK`; says "ready" when all are there.

Standard library only. Every process has MARK in its argv, so that a survivor can be found.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

LIFE = 120.0
"""Seconds after which each ends by itself, should a test fail to end it."""


_BORN, _TELL = os.pipe()


def _deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(_TELL, b".")
    time.sleep(LIFE)


def _own_session() -> None:
    os.setsid()
    _deaf()


def _daemon() -> None:
    os.setsid()
    _child(_deaf)


def _silent_daemon() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _daemon()


def _stopped() -> None:
    os.write(_TELL, b".")
    os.kill(os.getpid(), signal.SIGSTOP)


def _without_environment() -> None:
    os.setsid()
    program = f"import os, time; os.write({_TELL}, b'.'); time.sleep({LIFE})"
    os.set_inheritable(_TELL, True)
    _child(lambda: os.execve(sys.executable, [sys.executable, "-ISc", program, sys.argv[1]], {}))


def _comet() -> None:
    """Each generation forks the next and ends: never the same pid twice."""
    end = time.monotonic() + LIFE
    os.write(_TELL, b".")
    while time.monotonic() < end:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        time.sleep(0.002)


def _zombie() -> None:
    _child(lambda: None)
    _deaf()


_KINDS: list[Callable[[], None]] = [
    _deaf,
    _own_session,
    _daemon,
    _silent_daemon,
    _stopped,
    _without_environment,
    _zombie,
]


_EACH = 5


def _child(body: Callable[[], None]) -> None:
    if os.fork() == 0:
        body()
        os._exit(0)


def main() -> None:
    for _ in range(_EACH):
        for kind in _KINDS:
            _child(kind)
    _child(lambda: _child(_comet))
    for _ in range(_EACH * len(_KINDS) + 1):
        os.read(_BORN, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _deaf()


if __name__ == "__main__":
    main()
