"""Attacks on the kernel: what a program in a room never needs, and ways out of sandboxes were made of."""

import contextlib
import ctypes
import fcntl
import os
import struct
import termios

from .tools import CLONE_NEWNS, CLONE_NEWUSER, Targets, attack, call, checked, libc, read

_MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x4000, 0x4_0000, 2
_SIGCHLD = 17
_AT_FDCWD = -100
_HANDLE_BYTES = 128


def _unshare(flags: int) -> None:
    checked(libc.unshare(flags), "unshare")


def _private_mounts() -> None:
    """A mount namespace of our own, so that nothing here is ever mounted for anybody else."""
    _unshare(CLONE_NEWNS if os.geteuid() == 0 and _may_administrate() else CLONE_NEWNS | CLONE_NEWUSER)
    checked(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")


def _may_administrate() -> bool:
    """CAP_SYS_ADMIN."""
    effective = next(line for line in read("/proc/self/status").splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> 21 & 1)


@attack("kernel.userns")
def user_namespace(targets: Targets, id_: str) -> str:  # noqa: ARG001 - as all attacks
    _unshare(CLONE_NEWUSER)
    return "a user namespace"


@attack("kernel.clone3")
def clone3(targets: Targets, id_: str) -> str:  # noqa: ARG001
    arguments = ctypes.create_string_buffer(struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, _SIGCHLD, 0, 0, 0), 64)
    pid = call("clone3", arguments, 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process in a user namespace"


@attack("kernel.mount")
def mount(targets: Targets, id_: str) -> str:  # noqa: ARG001
    _private_mounts()
    checked(libc.mount(b"none", targets.workspace.encode(), b"tmpfs", 0, None), "mount")
    return "a file system"


@attack("kernel.fsopen")
def fsopen(targets: Targets, id_: str) -> str:  # noqa: ARG001
    _private_mounts()
    call("fsopen", b"tmpfs", 0)
    return "a file system"


@attack("kernel.umount")
def umount(targets: Targets, id_: str) -> str:
    """First a mount of our own; then everything that may hide something."""
    _private_mounts()
    checked(libc.mount(b"none", targets.workspace.encode(), b"tmpfs", 0, None), "mount")
    checked(libc.umount2(targets.workspace.encode(), _MNT_DETACH), "umount2")
    points = [line.split()[4] for line in read("/proc/self/mountinfo", 100_000).splitlines()]
    for point in sorted(points, reverse=True):
        if point != "/":
            libc.umount2(point.encode(), _MNT_DETACH)
    with contextlib.suppress(OSError):
        return read(targets.paths[id_])
    return "mounted and unmounted"


@attack("kernel.setns")
def setns(targets: Targets, id_: str) -> str:  # noqa: ARG001
    descriptor = os.open(f"/proc/{targets.pid}/ns/mnt", os.O_RDONLY)
    checked(libc.setns(descriptor, CLONE_NEWNS), "setns")
    return "the daemon's mounts"


@attack("kernel.chroot")
def chroot(targets: Targets, id_: str) -> str:  # noqa: ARG001
    try:
        os.chroot(targets.workspace)
    except PermissionError:
        _unshare(CLONE_NEWUSER)
        os.chroot(targets.workspace)
    return "another root"


@attack("kernel.bpf")
def bpf(targets: Targets, id_: str) -> str:  # noqa: ARG001
    attributes = ctypes.create_string_buffer(struct.pack("4I", 2, 4, 4, 1), 128)  # an array: key, value, one entry
    call("bpf", 0, attributes, 128)
    return "a map"


@attack("kernel.perf")
def perf(targets: Targets, id_: str) -> str:  # noqa: ARG001
    # A software clock of this process alone, without the kernel's part: the least that is asked for more.
    head = struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 1 << 5 | 1 << 6)
    call("perf_event_open", ctypes.create_string_buffer(head, 112), 0, -1, -1, 0)
    return "a counter"


@attack("kernel.userfaultfd")
def userfaultfd(targets: Targets, id_: str) -> str:  # noqa: ARG001
    call("userfaultfd", 1)  # UFFD_USER_MODE_ONLY
    return "page faults"


@attack("kernel.io_uring")
def io_uring(targets: Targets, id_: str) -> str:  # noqa: ARG001
    call("io_uring_setup", 2, ctypes.create_string_buffer(120))
    return "a ring"


@attack("kernel.open_by_handle")
def open_by_handle(targets: Targets, id_: str) -> str:  # noqa: ARG001
    handle = ctypes.create_string_buffer(struct.pack("Ii", _HANDLE_BYTES, 0), 8 + _HANDLE_BYTES)
    mount_id = ctypes.c_int()
    path = targets.workspace.encode()
    checked(libc.name_to_handle_at(_AT_FDCWD, path, handle, ctypes.byref(mount_id), 0), "name_to_handle_at")
    folder = os.open(targets.workspace, os.O_RDONLY | os.O_DIRECTORY)
    checked(libc.open_by_handle_at(folder, handle, os.O_RDONLY), "open_by_handle_at")
    return "a file without a path"


@attack("kernel.tiocsti")
def tiocsti(targets: Targets, id_: str) -> str:  # noqa: ARG001
    os.setsid()
    terminal = os.open(str(targets.daemon["terminal"]), os.O_RDWR)
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    fcntl.ioctl(terminal, termios.TIOCSTI, b"!")
    return ""
