"""The daemon's memory is its own: what runs as the same user, such as an agent that got out, cannot look into it.

Without this, /proc/PID/environ, mem and fd of the daemon are open to every process of its user, and the secrets are in
them. What the daemon starts is not affected: a program begins as an open book again.
"""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden() -> str | None:
    """Close this process to others, and let it leave no core file. Returns why not, if the kernel refused.

    From now on /proc/self belongs to root: what is open to its owner alone there (environ, mem, io) cannot be opened
    by the daemon itself any more. Called before any secret is read.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    return None
