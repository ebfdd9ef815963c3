"""Attacks on the machine. What is written is what stood there before."""

import os
import stat
import subprocess

from .tools import NotHere, Targets, attack, read

_SWAPPINESS = "/proc/sys/vm/swappiness"
_CORE_PATTERN = "/proc/sys/kernel/core_pattern"
_SETUID = ("mount", "umount", "su", "passwd", "chsh", "newgrp", "sudo")
_FOLDERS = ("/usr/bin", "/bin", "/usr/sbin")
_PIPE_BYTES = 4096


@attack("system.proc_sys", "system.core_pattern")
def write_back(targets: Targets, id_: str) -> str:  # noqa: ARG001 - as all attacks
    path = _SWAPPINESS if id_ == "system.proc_sys" else _CORE_PATTERN
    text = read(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@attack("system.cgroup")
def stay_in_the_cgroup(targets: Targets, id_: str) -> str:  # noqa: ARG001
    """Moving a process to where it is changes nothing, and needs the right to move it."""
    problem: OSError = NotHere("there are no cgroups here")
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for folder in ("", "/unified", *(f"/{name}" for name in controllers.split(",") if name)):
            procs = f"/sys/fs/cgroup{folder}{path.rstrip('/')}/cgroup.procs"
            try:
                with open(procs, "w", encoding="ascii") as file:
                    file.write(str(os.getpid()))
            except FileNotFoundError:
                continue
            except OSError as error:
                problem = error
            else:
                return procs
    raise problem


@attack("system.mknod")
def make_a_device(targets: Targets, id_: str) -> str:  # noqa: ARG001
    """Another /dev/null."""
    path = os.path.join(targets.workspace, "a-device")
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    try:
        with open(path, "rb"):
            return "a device"
    finally:
        os.unlink(path)


@attack("system.setuid")
def gain(targets: Targets, id_: str) -> str:  # noqa: ARG001
    """Start a program that belongs to root and is marked so that it runs as root, and look whether it does.

    It is asked for its help, into a pipe that is full: so it waits, and can be looked at.
    """
    if os.geteuid() == 0:
        raise NotHere("this is root already")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b" " * _PIPE_BYTES)
    except BlockingIOError:
        os.set_blocking(writing, True)
    program = _a_setuid_program()
    child = subprocess.Popen([program, "--help"], stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
    os.close(writing)
    try:
        for _ in range(1000):
            status = read(f"/proc/{child.pid}/status")
            name = status.splitlines()[0].split()[1]
            _, effective, *_ = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
            if effective == "0":
                return f"{program} runs as root"
            if name == os.path.basename(program)[:15]:
                break
            os.sched_yield()
        raise PermissionError(f"{program} did not become root")
    finally:
        os.close(reading)  # the help has nowhere to go, and the program ends
        child.wait()


def _a_setuid_program() -> str:
    for folder in _FOLDERS:
        for name in _SETUID:
            path = os.path.join(folder, name)
            try:
                found = os.stat(path)
            except OSError:
                continue
            if found.st_mode & stat.S_ISUID and found.st_uid == 0:
                return path
    raise NotHere("there is no setuid program")
