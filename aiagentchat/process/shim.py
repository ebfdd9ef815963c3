"""The supervisor of one run: a subreaper that ends the whole tree when its control pipe says so, or closes.

    python -I -S -E shim.py CONTROL_FD STATUS_FD -- COMMAND...

Killing the CLI or its process group leaves its tools alive: each Bash call runs in a session of its own. So the run's
main process is a child of this one, and every orphan of the tree becomes a child of this one too
(PR_SET_CHILD_SUBREAPER). The daemon holds the only write end of the control pipe: when it closes it, exits, or is
killed, the read end here reports EOF and the tree is ended. No PR_SET_PDEATHSIG: that follows a thread, not a process.

control, one byte each     i   SIGINT to the main process
                           s   sweep: end every process of the tree but the main one
                           EOF end everything
status, one line each      started PID · swept N (-1: could not be proven) · exit CODE · clean KILLED

The end of the status pipe is the proof that nothing is left: this process exits only when it has no child.
Standard library only, and no import of ours: it starts in about 15 ms.
"""

import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 2.0
_QUIET_SCANS = 2  # one empty scan can miss a process that was born behind the reader's back
_PAUSE = 0.002
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # threads come and go while we look
    return found


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return True


def _tree(root: int) -> list[int]:
    """Every living descendant of `root`."""
    found: list[int] = []
    todo = [root]
    while todo:
        for child in _children(todo.pop()):
            todo.append(child)
            if not _is_zombie(child):
                found.append(child)
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


class Shim:
    def __init__(self, control: int, status: int) -> None:
        self.control = control
        self.status = status
        self.main = 0
        self.exits: dict[int, int] = {}
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

    def spawn(self, command: list[str]) -> None:
        self.main = os.posix_spawnp(
            command[0], command, os.environ, setsigdef=[*_IGNORED, signal.SIGCHLD, signal.SIGPIPE], setpgroup=0
        )
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)  # the pipes belong to the command alone: their EOF must mean its end
        os.close(null)
        self.say(f"started {self.main}")

    def sweep(self) -> None:
        killed = quiet = 0
        deadline = time.monotonic() + _SWEEP_SECONDS
        while quiet < _QUIET_SCANS:
            if time.monotonic() > deadline:
                self.say("swept -1")
                return
            others = [pid for pid in _tree(os.getpid()) if pid != self.main]
            killed += sum(_kill(pid) for pid in others)
            quiet = 0 if others else quiet + 1
            self.reap()
            time.sleep(_PAUSE if others else 0)
        self.say(f"swept {killed}")

    def serve(self) -> None:
        """Until the main process ends or the control pipe closes."""
        while self.reap() and self.main not in self.exits:
            readable, _, _ = select.select([self.control, self.wake], [], [])
            if self.wake in readable:
                os.read(self.wake, 4096)
            if self.control in readable and not self.obey():
                return

    def obey(self) -> bool:
        for byte in (orders := os.read(self.control, 64)):
            if byte == ord("i") and self.main not in self.exits:
                os.kill(self.main, signal.SIGINT)
            elif byte == ord("s"):
                self.sweep()
        return bool(orders)

    def end(self) -> None:
        """Kill direct children until there is none: grandchildren become direct ones when their parent dies.

        A direct child that was not reaped keeps its pid, so this cannot hit a stranger.
        """
        if self.main in self.exits:
            self.say(f"exit {self.exits[self.main]}")
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


def main() -> None:
    control, status, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4:]
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        os._exit(125)
    os.set_inheritable(control, False)
    os.set_inheritable(status, False)
    shim = Shim(control, status)
    try:
        shim.spawn(command)
    except OSError as error:
        shim.say(f"failed {error.errno or 0}")
        os._exit(127)
    try:
        shim.serve()
    finally:
        shim.end()
    os._exit(0)


if __name__ == "__main__":
    main()
