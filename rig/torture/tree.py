"""A tree of some seventy processes that do not want to end.

    python -ISE tree.py WORD [--leave]

When all are there it says "ready" and stays, or with --leave ends and leaves them behind. They ignore signals, are
stopped, leave their session and their parent, empty their environment, hold stdout, keep zombies, and fork on.

Standard library only. Each of them has WORD in its argv, so that a survivor can be found, and ends by itself after
LIFE, should nobody have ended it.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

LIFE = 120.0
"""Seconds."""
GENERATION = 0.002
"""Seconds that a generation of a comet lives: some hundreds come in a second."""
DEPTH = 8
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE)
_BEGAN = time.monotonic()
_TELL: list[int] = []
"""The descriptor through which those who are there say so."""


def _child(body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        body()
        os._exit(0)
    return pid


def _left() -> float:
    return max(0.0, _BEGAN + LIFE - time.monotonic())


def _up() -> None:
    """Whoever waits for all to be there hears it."""
    os.write(_TELL[0], b".")


def _deaf() -> None:
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    _up()
    time.sleep(_left())


def _own_session() -> None:
    os.setsid()
    _deaf()


def _daemon() -> None:
    """Its parent ends at once; it still holds stdout."""
    os.setsid()
    _child(_deaf)


def _silent_daemon() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _daemon()


def _stopped() -> None:
    """It cannot end by itself: its parent sees to that."""
    os.setsid()
    stopped = _child(lambda: os.kill(os.getpid(), signal.SIGSTOP))
    os.waitpid(stopped, os.WUNTRACED)
    _up()
    _deaf()
    os.kill(stopped, signal.SIGKILL)


def _without_environment() -> None:
    """Nothing of the run is left in it but the word."""
    os.setsid()
    _up()
    _child(lambda: os.execve("/bin/sleep", [sys.argv[1], str(LIFE)], {}))  # noqa: S606


def _zombie() -> None:
    """It never asks what became of its child."""
    _child(lambda: None)
    _deaf()


def _phoenix() -> None:
    """Whoever kills its child gets another."""
    os.setsid()
    _up()
    while _left():
        os.waitpid(_child(lambda: time.sleep(_left())), 0)


def _comet() -> None:
    """Each generation forks the next and ends: never the same pid twice."""
    _up()
    while _left():
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        time.sleep(GENERATION)


def _comet_of_an_orphan() -> None:
    _child(_comet)


def _chain(depth: int = DEPTH) -> None:
    """A line of descendants, each in a session of its own."""
    if depth > 1:
        _child(lambda: _chain(depth - 1))
    _own_session()


KINDS: tuple[tuple[Callable[[], None], int, int, int], ...] = (
    # how many, how many living processes each makes, and how many of them say that they are up
    (_deaf, 8, 1, 1),
    (_own_session, 8, 1, 1),
    (_daemon, 8, 1, 1),
    (_silent_daemon, 8, 1, 1),
    (_stopped, 4, 2, 2),
    (_without_environment, 8, 1, 1),
    (_zombie, 4, 1, 1),
    (_phoenix, 4, 2, 1),
    (_comet_of_an_orphan, 2, 1, 1),
    (_chain, 1, DEPTH, DEPTH),
)
PROCESSES = 1 + sum(many * each for _, many, each, _ in KINDS)
"""How many live when all are there."""


def main() -> None:
    """Grow, and stay or leave."""
    heard, tell = os.pipe()
    _TELL.append(tell)
    for kind, many, _, _ in KINDS:
        for _ in range(many):
            _child(kind)
    for _ in range(sum(many * up for _, many, _, up in KINDS)):
        os.read(heard, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if "--leave" not in sys.argv:
        _deaf()


if __name__ == "__main__":
    main()
