"""The supervisor of one run: a subreaper that ends the whole tree when its control pipe says so, or closes.

    python -I -S -E -c BOOT FOLDER CONTROL STATUS

CONTROL and STATUS are the descriptors of two pipes. What is to be run is the first thing in the control pipe: its
length in four bytes, and a dictionary (`Job`). Until it comes this process waits, so that it can be started before it
is needed.

Killing the CLI or its process group leaves its tools alive: each Bash call runs in a session of its own. So the run's
main process is a child of this one, and every orphan of the tree becomes a child of this one too
(PR_SET_CHILD_SUBREAPER). The daemon holds the only write end of the control pipe: when it closes it, exits, or is
killed, the read end here reports EOF and the tree is ended. No PR_SET_PDEATHSIG: that follows a thread, not a process.

With `uid` the command becomes that user, and this process stays who it is: so the run cannot touch it, and it can end
the run. With `stop` the command finds a pipe at that descriptor, and an interrupt is a byte in it: for a command in a
sandbox, where a signal from here would hit the sandbox and not the CLI. With `cgroup` the command joins the one whose
folder that is: the kernel holds it to the limits then, and this process says so.

control, one byte each     i   interrupt: SIGINT to the main process, or a byte in the stop pipe
                           k   keep: what runs now is the run itself, and outlives sweeps
                           w   watch: from now on, until the next sweep, look at the limits; with `behind`, let what
                               is not kept come last on the processor
                           s   sweep: end every process of the tree that is not kept
                           EOF end everything
status, one line each      started PID · kept N · swept N (-1: could not be proven) · exit CODE · clean KILLED
                           memory MIB · processes N: the limit is reached; said once in a watch

The end of the status pipe is the proof that nothing is left: this process exits only when it has no child.
It starts with every run, and a person waits: standard library only, of ours only the system calls, and of both no more
than it needs. Started as a module, it is compiled once and not every time.
"""

import marshal
import os
import select
import sys
import time

from .inside.syscalls import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from typing import TypedDict

    class Job(TypedDict):
        """What is to be run."""

        command: list[str]
        env: dict[str, str]
        cwd: str
        cgroup: str
        """Its folder; empty without one."""
        options: dict[str, int]
        """uid, stop, memory (MiB), processes, behind: those that are wanted."""
else:
    import _signal as signal  # `signal` itself makes enumerations of it, which takes 4 ms

_PR_SET_CHILD_SUBREAPER = 36
LENGTH_BYTES = 4
"""Of the length that a job begins with."""
_SWEEP_SECONDS = 2.0
_QUIET_SCANS = 2  # one empty scan can miss a process that was born behind the reader's back
_PAUSE = 0.002
_WATCH_SECONDS = 0.25
"""How often the limits are looked at, at least."""
_WATCH_LEAST_SECONDS = 0.02
_GROWN = 32
"""When there are so many more than at the last look, the next one is at once."""
_WATCH_SHARE = 50
"""A look that took a millisecond is followed by so many without one: what multiplies is seen while it is small."""
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20
_LAST = 19
"""The niceness of whoever comes last."""
# Fields of /proc/PID/stat, counted from the state, which is the first after the name.
_STATE, _GROUP, _SESSION, _NICE, _THREADS, _BORN, _RESIDENT = 0, 2, 3, 16, 17, 19, 21


def _children(pid: int, threads: "Iterable[int] | None" = None) -> list[int]:
    """Each thread has children of its own. Without `threads` all of them are asked."""
    found: list[int] = []
    if threads is None:
        try:
            threads = [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # threads come and go while we look
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields from the state on; only that of a zombie for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split() or [b"Z"]
    except OSError:
        return [b"Z"]


def _lives(stat: list[bytes]) -> bool:
    """A process whose first thread has ended looks like a zombie, and its other threads go on."""
    return stat[_STATE] != b"Z" or (len(stat) > _THREADS and int(stat[_THREADS]) > 1)


def _identity(pid: int, stat: list[bytes]) -> tuple[int, bytes]:
    """A number that is used again is another process: it was born later."""
    return pid, stat[_BORN] if len(stat) > _BORN else b""


def _tree(root: int) -> dict[int, list[bytes]]:
    """Every living descendant of `root`, and what `_stat` says of it. Of thousands, perhaps: two files for each."""
    found: dict[int, list[bytes]] = {}
    todo = _children(root)
    while todo:
        pid = todo.pop()
        stat = _stat(pid)
        if _lives(stat):
            found[pid] = stat
        todo += _children(pid, [pid] if len(stat) > _THREADS and stat[_THREADS] == b"1" else None)
    return found


def _kill(pid: int) -> bool:
    """Kill `pid` by a descriptor, so that a reused number is never hit twice."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _kill_group(group: int, pid: int) -> None:
    """Kill the process group that `pid` is in, at once: killed one by one, those that multiply are always more.

    Nobody is born behind the back of a signal for a group. While one in it is stopped, its number is not used again.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
        if os.getpgid(pid) == group:
            os.killpg(group, signal.SIGKILL)
    except OSError:
        pass  # it has just ended
    finally:
        os.close(descriptor)


def _used(stats: "Iterable[list[bytes]]") -> tuple[int, int]:
    """Processes with their threads, and bytes of memory. What is shared counts in part for each who shares it."""
    threads = resident = 0
    for stat in stats:
        threads += int(stat[_THREADS])
        resident += int(stat[_RESIDENT]) * _PAGE
    return threads, resident


def _come_last(pid: int) -> None:
    """Each thread has a niceness of its own."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), _LAST)
    except OSError:
        pass  # it has just ended, or a thread of it: the rest is for the next time


def _session_comes_last(pid: int) -> bool:
    """False when it is to be tried again: the kernel takes few of these in a second."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(_LAST))
    except OSError:
        return False
    return True


def _shared_out(pids: list[int]) -> int:
    """Bytes of memory, exactly. It takes ten times as long as `_used`, which is never less."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith(b"Pss:")) * 1024
        except (OSError, StopIteration):
            continue  # it has just ended, or is a kernel's
    return total


def _write_at(folder: int, name: str, text: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _count_at(folder: int, name: str, key: bytes) -> int:
    """One line of a file of counters; 0 without it."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return 0
    try:
        counters = dict(line.split() for line in os.read(descriptor, 4096).splitlines())
        return int(counters.get(key, 0))
    except (OSError, ValueError):
        return 0
    finally:
        os.close(descriptor)


def _reserve(number: int, options: "dict[str, int]") -> None:
    """The descriptor is promised to the command: what happens to have it moves, and nothing new gets it."""
    for name in ("control", "status", "cgroup"):
        if options.get(name) == number:
            options[name] = os.dup(number)
    os.dup2(options["status"], number, inheritable=False)


_REACHED = {"memory": ("memory.events", b"oom_kill"), "processes": ("pids.events", b"max")}
"""Where a cgroup counts how often a limit held something back."""


class Shim:
    def __init__(self, options: dict[str, int]) -> None:
        if "stop" in options:
            _reserve(options["stop"], options)
        self.control = options["control"]
        self.status = options["status"]
        self.options = options
        self.main = 0
        self.exits: dict[int, int] = {}
        self.kept: set[tuple[int, bytes]] = set()
        self.stop_write = -1
        self.watching = False
        self.untold: set[str] = set()
        self.watched_at = 0.0
        self.pause = _WATCH_SECONDS
        self.seen = 0
        self.counted: dict[str, int] = {}
        self.behind: set[int] = set()
        self.wake, wake_write = os.pipe()
        for descriptor in (self.wake, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)

    def say(self, line: str) -> None:
        try:
            os.write(self.status, line.encode() + b"\n")
        except OSError:
            pass  # the daemon is gone; the work is the same

    def reap(self) -> bool:
        """Collect whoever died. False when there is no child at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.exits[pid] = os.waitstatus_to_exitcode(status)

    def spawn(self, job: "Job") -> None:
        """OSError if the command cannot be started."""
        if "stop" in self.options:
            stop_read, self.stop_write = os.pipe()
            os.dup2(stop_read, self.options["stop"], inheritable=True)
            os.close(stop_read)
        told, tell = os.pipe()
        self.main = os.fork()
        if self.main == 0:
            self.become(job, tell)
        os.close(tell)
        error = os.read(told, 16)  # closed without a word when the command has begun
        os.close(told)
        if error:
            self.reap()
            raise OSError(int(error), "")
        if "stop" in self.options:
            os.close(self.options["stop"])
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)  # the pipes belong to the command alone: their EOF must mean its end
        os.close(null)
        self.say(f"started {self.main}")

    def become(self, job: "Job", tell: int) -> None:
        """The child: never returns."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_IGNORED, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.setpgid(0, 0)
            os.chdir(job["cwd"])
            cgroup, uid = self.options.get("cgroup"), self.options.get("uid")
            if cgroup is not None:
                _write_at(cgroup, "cgroup.procs", b"0")  # as who we still are; and nothing of the run is elsewhere
            if uid is not None:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.execvpe(job["command"][0], job["command"], job["env"])  # noqa: S606 - a shell is what we do not want
        except OSError as error:
            os.write(tell, str(error.errno or 1).encode())
        finally:
            os._exit(127)

    def keep(self) -> None:
        self.kept = {_identity(pid, stat) for pid, stat in _tree(os.getpid()).items()}
        self.say(f"kept {len(self.kept)}")

    def sweep(self) -> None:
        self.watching = False
        self.say(f"swept {self.clear()}")

    def clear(self) -> int:
        """End everything but the run itself; how many that were, -1 if it could not be proven that none is left."""
        killed = quiet = 0
        deadline = time.monotonic() + _SWEEP_SECONDS
        while quiet < _QUIET_SCANS:
            if time.monotonic() > deadline:
                return -1
            tree = _tree(os.getpid())
            ours = {pid for pid, stat in tree.items() if pid == self.main or _identity(pid, stat) in self.kept}
            spared = {os.getpgrp(), *(int(tree[pid][_GROUP]) for pid in ours if len(tree[pid]) > _GROUP)}
            others = [pid for pid in tree if pid not in ours]
            for group, pid in {int(tree[pid][_GROUP]): pid for pid in others if len(tree[pid]) > _GROUP}.items():
                if group not in spared:
                    _kill_group(group, pid)
            killed += sum(_kill(pid) for pid in others)
            quiet = 0 if others else quiet + 1
            self.reap()
            time.sleep(_PAUSE if others else 0)
        return killed

    def watch(self) -> None:
        """Say which limits are reached, each once; and let what is not the run itself come last."""
        began = time.monotonic()
        if began - self.watched_at < self.pause:
            return  # children that end wake us as well, and they may be many
        untold = len(self.untold)
        self.ask_the_kernel()
        stats = {pid: stat for pid, stat in _tree(os.getpid()).items() if len(stat) > _RESIDENT}
        threads, resident = _used(stats.values())
        most = self.options.get("memory", 0) * _MIB
        if "processes" in self.untold and threads > self.options["processes"]:
            self.tell("processes", threads)
        elif "memory" in self.untold and resident > most and (used := _shared_out([*stats])) > most:
            self.tell("memory", used // _MIB)
        if self.kept and len(self.untold) < untold:
            self.clear()  # whoever is told takes the turn to its end; the other rooms need not wait for that
        else:
            self.step_back(stats)
        self.watched_at = time.monotonic()
        self.pause = min(_WATCH_SECONDS, max(_WATCH_LEAST_SECONDS, _WATCH_SHARE * (self.watched_at - began)))
        if threads > self.seen + _GROWN:
            self.pause = _WATCH_LEAST_SECONDS
        self.seen = threads

    def tell(self, limit: str, value: int) -> None:
        self.untold.remove(limit)
        self.say(f"{limit} {value}")

    def count(self) -> "dict[str, int]":
        if "cgroup" not in self.options:
            return {}
        return {limit: _count_at(self.options["cgroup"], *where) for limit, where in _REACHED.items()}

    def ask_the_kernel(self) -> None:
        """Say what has been held back since the watch began."""
        for limit, count in self.count().items():
            if limit in self.untold and count > self.counted[limit]:
                self.tell(limit, self.options[limit])

    def step_back(self, stats: dict[int, list[bytes]]) -> None:
        """What a turn starts gives way to the answers of all rooms, however much of it there is.

        Two things decide who gives way to whom: the niceness of processes and, where Linux groups them by sessions and
        they are in no cgroup (`man 7 sched`, autogroup), that of their session, which is the only one then.
        """
        if not self.kept or "behind" not in self.options:
            return  # without the first nobody knows what the run itself is
        ours = {pid for pid, stat in stats.items() if pid == self.main or (pid, stat[_BORN]) in self.kept}
        settled = self.behind | {int(stats[pid][_SESSION]) for pid in ours}
        sessions = {}
        for pid in stats.keys() - ours:
            if int(stats[pid][_NICE]) < _LAST:
                _come_last(pid)
            sessions[int(stats[pid][_SESSION])] = pid
        self.behind |= {session for session in sessions.keys() - settled if _session_comes_last(sessions[session])}

    def serve(self) -> None:
        """Until the main process ends or the control pipe closes."""
        while self.reap() and self.main not in self.exits:
            readable, _, _ = select.select([self.control, self.wake], [], [], self.pause if self.watching else None)
            if self.wake in readable:
                os.read(self.wake, 4096)
            if self.control in readable and not self.obey():
                return
            if self.watching:
                self.watch()

    def obey(self) -> bool:
        for byte in (orders := os.read(self.control, 64)):
            match chr(byte):
                case "i":
                    self.interrupt()
                case "k":
                    self.keep()
                case "w":
                    self.watching = True
                    self.untold = {"memory", "processes"} & self.options.keys()
                    self.counted = self.count()
                    self.behind = set()
                case "s":
                    self.sweep()
        return bool(orders)

    def interrupt(self) -> None:
        try:
            if self.stop_write >= 0:
                os.write(self.stop_write, b"i")
            elif self.main not in self.exits:
                os.kill(self.main, signal.SIGINT)
        except OSError:
            pass  # it has just ended

    def end(self) -> None:
        """Kill direct children until there is none: grandchildren become direct ones when their parent dies.

        A direct child that was not reaped keeps its pid, so this cannot hit a stranger.
        """
        if self.watching:
            self.ask_the_kernel()  # it may have ended the main process itself
        if self.main in self.exits:
            self.say(f"exit {self.exits[self.main]}")
        if "cgroup" in self.options:
            try:
                _write_at(self.options["cgroup"], "cgroup.kill", b"1")  # all at once, however fast they multiply
            except OSError:
                pass  # a kernel before 5.14; what follows is enough
        told = self.main in self.exits
        killed = rounds = 0
        while self.reap():
            for pid in _children(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    continue
            rounds += 1
            time.sleep(0 if rounds < 50 else _PAUSE)
        if not told and self.main in self.exits:
            self.say(f"exit {self.exits[self.main]}")
        self.say(f"clean {killed}")


def _read(descriptor: int, size: int) -> bytes:
    """Exactly so much; less when the pipe closes before."""
    data = b""
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _job(control: int) -> "Job | None":
    """What is to be run; None if nobody says it any more."""
    size = int.from_bytes(_read(control, LENGTH_BYTES), "big")
    data = _read(control, size)
    return marshal.loads(data) if size and len(data) == size else None  # noqa: S302 - from whoever started us


def main() -> None:
    control, status = int(sys.argv[2]), int(sys.argv[3])
    try:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
    except OSError:
        os._exit(125)
    os.set_inheritable(control, False)
    os.set_inheritable(status, False)
    job = _job(control)
    if job is None:
        os._exit(0)
    options = {**job["options"], "control": control, "status": status}
    try:
        if job["cgroup"]:
            options["cgroup"] = os.open(job["cgroup"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        shim = Shim(options)
        shim.spawn(job)
    except OSError as error:
        os.write(status, f"failed {error.errno or 0}\n".encode())
        os._exit(127)
    try:
        shim.serve()
    finally:
        shim.end()
    os._exit(0)
