"""What the first process is to a machine, for one program: whoever loses its parent comes to it, and is reaped at once.

    python -ISE init.py COMMAND…

It ends as the command did, when nothing of it is left: until then everything that the command has ever started is below
it. If whoever started it is gone, it ends everything. Standard library only.
"""

import ctypes
import os
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.5
"""How often it looks whether it still has its parent."""


def main() -> None:
    """Never returns."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGINT, signal.SIGTERM])
    command = os.posix_spawnp(
        sys.argv[1], sys.argv[1:], os.environ, setsigmask=[], setsigdef=[signal.SIGPIPE, signal.SIGXFSZ]
    )
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)  # the pipes are the command's: their end must mean its end
    status = 0
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            os._exit(_code(status))
        if pid == command:
            status = how
        elif pid == 0:
            if os.getppid() != parent:
                _end_all()
            signal.sigtimedwait([signal.SIGCHLD], _LOOK_SECONDS)


def _end_all() -> None:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123 - starts sooner
        for pid in map(int, file.read().split()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _code(status: int) -> int:
    """As a shell says it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main()
