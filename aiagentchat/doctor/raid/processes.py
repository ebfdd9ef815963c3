"""Attacks on the daemon's process, and on the run of another room."""

import ctypes
import os
import resource
import signal

from .tools import Targets, around, attack, call, checked, libc, of_processes, read

_MOST_MEMORY = 64 * 2**20
_PTRACE_PEEKDATA, _PTRACE_ATTACH, _PTRACE_DETACH = 2, 16, 17
_WORD = 8


@attack("process.list")
def command_lines(targets: Targets, id_: str) -> str:  # noqa: ARG001 - as all attacks
    return around(targets.tag, of_processes("cmdline"))


@attack("process.run_argv")
def command_line_of_a_run(targets: Targets, id_: str) -> str:  # noqa: ARG001
    return around(targets.tag, of_processes("cmdline", targets.run))


@attack("process.environ", "process.run_environ")
def environments(targets: Targets, id_: str) -> str:
    return around(targets.tag, of_processes("environ", targets.pid if id_ == "process.environ" else targets.run))


@attack("process.maps")
def maps(targets: Targets, id_: str) -> str:  # noqa: ARG001
    return around(targets.tag, read(f"/proc/{targets.pid}/maps", 1_000_000))


@attack("process.mem")
def memory(targets: Targets, id_: str) -> str:  # noqa: ARG001
    seen, left = [], _MOST_MEMORY
    regions = [line.split() for line in read(f"/proc/{targets.pid}/maps", 1_000_000).splitlines()]
    with open(f"/proc/{targets.pid}/mem", "rb", buffering=0) as file:
        for words in regions:
            if "rw" not in words[1] or (len(words) > 5 and words[5] == "[vvar]"):
                continue
            start, end = (int(each, 16) for each in words[0].split("-"))
            length = min(end - start, left)
            left -= length
            try:
                file.seek(start)
                seen.append(file.read(length).decode("latin-1"))
            except OSError:
                continue  # a region that has gone, or has no content
    return around(targets.tag, "".join(seen))


@attack("process.fds")
def open_files(targets: Targets, id_: str) -> str:  # noqa: ARG001
    return read(f"/proc/{targets.pid}/fd/{targets.daemon['fd']}")


@attack("process.cwd")
def its_folder(targets: Targets, id_: str) -> str:
    return read(f"/proc/{targets.pid}/cwd/{os.path.basename(targets.paths[id_])}")


@attack("process.root")
def its_root(targets: Targets, id_: str) -> str:
    return read(f"/proc/{targets.pid}/root{targets.paths[id_]}")


@attack("process.signal_daemon")
def signal_the_daemon(targets: Targets, id_: str) -> str:  # noqa: ARG001
    os.kill(targets.pid, signal.SIGUSR1)
    return ""


@attack("process.signal_run")
def signal_a_run(targets: Targets, id_: str) -> str:  # noqa: ARG001
    os.kill(targets.run, signal.SIGUSR1)
    return ""


@attack("process.ptrace")
def trace(targets: Targets, id_: str) -> str:  # noqa: ARG001
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    checked(libc.ptrace(_PTRACE_ATTACH, targets.pid, None, None), "ptrace")
    try:
        os.waitpid(targets.pid, 0x4000_0000)  # __WALL
        address, words = int(targets.daemon["address"]), []
        for offset in range(0, int(targets.daemon["length"]), _WORD):
            word = libc.ptrace(_PTRACE_PEEKDATA, targets.pid, address + offset, None)
            words.append((word & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(_WORD, "little"))
        return b"".join(words).decode("latin-1")
    finally:
        libc.ptrace(_PTRACE_DETACH, targets.pid, None, None)


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _move(function: str, pid: int, buffer: "ctypes.Array[ctypes.c_char]", address: int, length: int) -> None:
    here, there = _Span(ctypes.addressof(buffer), length), _Span(address, length)
    moved = getattr(libc, function)(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    checked(moved, function)


@attack("process.vm_read")
def read_memory(targets: Targets, id_: str) -> str:  # noqa: ARG001
    length = int(targets.daemon["length"])
    buffer = ctypes.create_string_buffer(length)
    _move("process_vm_readv", targets.pid, buffer, int(targets.daemon["address"]), length)
    return buffer.raw.decode("latin-1")


@attack("process.vm_write")
def write_memory(targets: Targets, id_: str) -> str:  # noqa: ARG001
    buffer = ctypes.create_string_buffer(b"raided")
    _move("process_vm_writev", targets.pid, buffer, int(targets.daemon["writable"]), len(buffer))
    return ""


@attack("process.pidfd_getfd")
def take_a_file(targets: Targets, id_: str) -> str:  # noqa: ARG001
    taken = call("pidfd_getfd", os.pidfd_open(targets.pid), int(targets.daemon["fd"]), 0)
    return os.pread(taken, 4096, 0).decode("utf-8", "replace")


@attack("process.prlimit")
def limit(targets: Targets, id_: str) -> str:  # noqa: ARG001
    soft, hard = resource.prlimit(targets.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(targets.pid, resource.RLIMIT_NOFILE, (soft - 1, hard))
    return ""


@attack("process.priority")
def slow_down(targets: Targets, id_: str) -> str:  # noqa: ARG001
    os.setpriority(os.PRIO_PROCESS, targets.pid, 19)
    return ""


@attack("process.oom")
def offer(targets: Targets, id_: str) -> str:  # noqa: ARG001
    with open(f"/proc/{targets.pid}/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    return ""
