"""What is done inside, in order: see the package."""

import os
import resource
import select
import sys

from . import landlock, relay, seccomp
from .syscalls import drop_capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # `signal` itself makes enumerations of it, which takes 4 ms

_MIB = 2**20
_ADDRESSES = ("ANTHROPIC_BASE_URL", "AIAGENTCHAT_ROOM", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
"""Variables in which the port 0 stands for the one that the relay listens on."""
_BRING_UP_OOM = "500"
"""When the machine runs out of memory, a run goes before the daemon does (`man 5 proc`, oom_score_adj)."""
FAILED = 126
"""Exit code when the run could not be kept in: then nothing was started."""


class Asked:
    """The words of the command line."""

    def __init__(self, words: list[str]) -> None:
        self.single: dict[str, str] = {}
        self.read: list[str] = []
        self.write: list[str] = []
        self.marks: dict[str, str] = {}
        """By path, which folder has to be there."""
        while (word := words.pop(0)) != "--":
            if word in {"--ro", "--rw"}:
                (self.read if word == "--ro" else self.write).append(words.pop(0))
            elif word == "--is":
                mark = words.pop(0)
                self.marks[words.pop(0)] = mark
            elif word == "--landlock":
                self.single[word] = ""
            else:
                self.single[word] = words.pop(0)
        self.command = words

    def number(self, name: str) -> int:
        """The value of an option, 0 without one."""
        return int(self.single.get(name, "0"))


def main() -> None:
    """Never returns."""
    asked = Asked(sys.argv[2:])
    try:
        listener = relay.listen() if "--gate" in asked.single else None
        port = listener.getsockname()[1] if listener else 0
        _give_up(asked, port)
        stop = _open(asked.number("--stop-fd"))
        child = _spawn(asked.command, _environment(port))
    except OSError as error:
        os.write(2, f"sandbox: {asked.command[0] if asked.command else '?'}: {error}\n".encode())
        os._exit(FAILED)
    # The pipes belong to the command alone: their end must mean its end.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if listener:
        relay.forward(listener, asked.single["--gate"])
    _end_with(_wait(child, stop))


def _open(descriptor: int) -> int:
    """The descriptor, which the command must not get; 0 if nobody has opened it."""
    try:
        os.set_inheritable(descriptor, False)
    except OSError:
        return 0
    return descriptor


def _give_up(asked: Asked, port: int) -> None:
    _nice(asked.number("--nice"))
    _limit(resource.RLIMIT_CORE, 0)
    if asked.number("--file-size"):
        _limit(resource.RLIMIT_FSIZE, asked.number("--file-size") * _MIB)
    if asked.number("--processes"):
        _limit(resource.RLIMIT_NPROC, asked.number("--processes"))
    if "--landlock" in asked.single:
        drop_capabilities()
        landlock.restrict(read=asked.read, write=asked.write, connect=[port] if port else [], marks=asked.marks)
    else:
        _look(asked.marks)
    if "--seccomp" in asked.single:
        seccomp.restrict(shared_network=asked.single["--seccomp"] == "shared")


def _look(marks: dict[str, str]) -> None:
    """What was mounted cannot be changed any more, whatever becomes of the path outside."""
    for path, mark in marks.items():
        if landlock.mark_of(os.stat(path)) != mark:
            raise OSError(f"{path} is not the folder any more that was to be mounted")


def _nice(niceness: int) -> None:
    os.nice(niceness)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_BRING_UP_OOM)
    except OSError:
        pass  # not everywhere, and nothing depends on it


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (most, most))


def _environment(port: int) -> dict[str, str]:
    environment = dict(os.environ)
    for name in _ADDRESSES:
        if port and name in environment:
            environment[name] = environment[name].replace("127.0.0.1:0", f"127.0.0.1:{port}")
    return environment


def _spawn(command: list[str], environment: dict[str, str]) -> int:
    # Python ignores SIGPIPE, and its children would too.
    return os.posix_spawnp(command[0], command, environment, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])


def _wait(child: int, stop: int) -> int:
    """Until the child ends; a byte on the stop pipe is a SIGINT for it. Orphans are reaped when this one ends."""
    ended = os.pidfd_open(child)
    watched = [ended, *([stop] if stop else [])]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if ended in readable:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if os.read(stop, 64):
            os.kill(child, signal.SIGINT)
        else:
            watched = [ended]  # nobody can ask any more; whoever could has other ways to end us


def _end_with(code: int) -> None:
    """As the command ended: with its code, or by its signal."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in {signal.SIGKILL, signal.SIGSTOP} else None
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
