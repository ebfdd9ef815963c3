"""Seccomp: system calls that no run needs, and that cross rooms, reach into the kernel, or undo a sandbox.

The filter is a program in classic BPF: pure bytes from `program`, put into force by `restrict`. What is refused gets
EPERM, so that programs fall back; `clone3` gets ENOSYS, because its flags lie where a filter cannot look, and every C
library then takes `clone`. Another architecture than the kernel's own is ended.
"""

import errno
import os
import struct

from .syscalls import no_new_privileges, pointer, prctl

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_NEW = 0x7E020000
"""CLONE_NEWNS, …CGROUP, …UTS, …IPC, …USER, …PID, …NET."""
_MSG_FASTOPEN = 0x20000000
"""Connects without asking the hook that Landlock sits on."""
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into a terminal as if somebody sat there."""
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _TCP = 1, 6

X86_64 = {
    "acct": 163, "add_key": 248, "bpf": 321, "fanotify_init": 300, "finit_module": 313, "fsconfig": 431,
    "fsmount": 432, "fsopen": 430, "fspick": 433, "init_module": 175, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "ioperm": 173, "iopl": 172, "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246,
    "keyctl": 250, "lookup_dcookie": 212, "mount": 165, "mount_setattr": 442, "move_mount": 429, "mq_getsetattr": 245,
    "mq_notify": 244, "mq_open": 240, "mq_timedreceive": 243, "mq_timedsend": 242, "mq_unlink": 241, "msgctl": 71,
    "msgget": 68, "msgrcv": 70, "msgsnd": 69, "open_by_handle_at": 304, "open_tree": 428, "perf_event_open": 298,
    "pidfd_getfd": 438, "pivot_root": 155, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101,
    "quotactl": 179, "reboot": 169, "request_key": 249, "semctl": 66, "semget": 64, "semop": 65, "semtimedop": 220,
    "setns": 308, "shmat": 30, "shmctl": 31, "shmdt": 67, "shmget": 29, "swapoff": 168, "swapon": 167, "syslog": 103,
    "umount2": 166, "unshare": 272, "userfaultfd": 323, "vmsplice": 278,
}  # fmt: skip
AARCH64 = {
    "acct": 89, "add_key": 217, "bpf": 280, "fanotify_init": 262, "finit_module": 273, "fsconfig": 431,
    "fsmount": 432, "fsopen": 430, "fspick": 433, "init_module": 105, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219,
    "lookup_dcookie": 18, "mount": 40, "mount_setattr": 442, "move_mount": 429, "mq_getsetattr": 185,
    "mq_notify": 184, "mq_open": 180, "mq_timedreceive": 183, "mq_timedsend": 182, "mq_unlink": 181, "msgctl": 187,
    "msgget": 186, "msgrcv": 188, "msgsnd": 189, "open_by_handle_at": 265, "open_tree": 428, "perf_event_open": 241,
    "pidfd_getfd": 438, "pivot_root": 41, "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117,
    "quotactl": 60, "reboot": 142, "request_key": 218, "semctl": 191, "semget": 190, "semop": 193, "semtimedop": 192,
    "setns": 268, "shmat": 196, "shmctl": 195, "shmdt": 197, "shmget": 194, "swapoff": 225, "swapon": 224,
    "syslog": 116, "umount2": 39, "unshare": 97, "userfaultfd": 282, "vmsplice": 75,
}  # fmt: skip
"""Numbers of the generic table (`include/uapi/asm-generic/unistd.h`)."""
_CALLS = {
    "x86_64": {"clone": 56, "clone3": 435, "ioctl": 16, "sendmmsg": 307, "sendmsg": 46, "sendto": 44, "socket": 41},
    "aarch64": {
        "clone": 220,
        "clone3": 435,
        "ioctl": 29,
        "sendmmsg": 269,
        "sendmsg": 211,
        "sendto": 206,
        "socket": 198,
    },
}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DENIED = {"x86_64": X86_64, "aarch64": AARCH64}
_X32 = 0x40000000


class _Builder:
    """Instructions, each with jumps over the ones that follow it."""

    def __init__(self) -> None:
        self.instructions: list[tuple[int, int, int, int]] = []

    def add(self, code: int, value: int, *, yes: int = 0, no: int = 0) -> None:
        self.instructions.append((code, yes, no, value))

    def refuse(self, number: int = errno.EPERM) -> None:
        self.add(_RETURN, _ERRNO | number)

    def argument(self, index: int) -> None:
        """Load the lower half of an argument: all that these have."""
        self.add(_LOAD, _FIRST_ARGUMENT + 8 * index)

    def only_for(self, call: int, body: "list[tuple[int, int, int, int]]") -> None:
        """`body` if the call is this one. It must return on every way."""
        self.add(_JUMP_EQUAL, call, no=len(body))
        self.instructions += body


def program(machine: str, *, shared_network: bool) -> bytes:
    """The filter for this machine (`os.uname().machine`). KeyError for one that is not known.

    With `shared_network` only TCP sockets reach the internet protocols, in the one way that Landlock watches.
    """
    calls, builder = _CALLS[machine], _Builder()
    builder.add(_LOAD, _ARCH)
    builder.add(_JUMP_EQUAL, _AUDIT[machine], yes=1)
    builder.add(_RETURN, _KILL)
    builder.add(_LOAD, _NUMBER)
    if machine == "x86_64":
        builder.add(_JUMP_AT_LEAST, _X32, no=1)
        builder.refuse()
    for call in sorted(set(_DENIED[machine].values())):
        builder.add(_JUMP_EQUAL, call, no=1)
        builder.refuse()
    builder.add(_JUMP_EQUAL, calls["clone3"], no=1)
    builder.refuse(errno.ENOSYS)
    builder.only_for(calls["clone"], _unless_bits(0, _CLONE_NEW))
    builder.only_for(calls["ioctl"], _unless_one_of(1, _TERMINAL_INPUT))
    builder.only_for(calls["socket"], _socket(shared_network=shared_network))
    if shared_network:
        builder.only_for(calls["sendto"], _unless_bits(3, _MSG_FASTOPEN))
        builder.only_for(calls["sendmsg"], _unless_bits(2, _MSG_FASTOPEN))
        builder.only_for(calls["sendmmsg"], _unless_bits(3, _MSG_FASTOPEN))
    builder.add(_RETURN, _ALLOW)
    return b"".join(struct.pack("<HBBI", *each) for each in builder.instructions)


def _unless_bits(argument: int, bits: int) -> list[tuple[int, int, int, int]]:
    body = _Builder()
    body.argument(argument)
    body.add(_JUMP_ANY_BIT, bits, no=1)
    body.refuse()
    body.add(_RETURN, _ALLOW)
    return body.instructions


def _unless_one_of(argument: int, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    body = _Builder()
    body.argument(argument)
    for value in values:
        body.add(_JUMP_EQUAL, value, no=1)
        body.refuse()
    body.add(_RETURN, _ALLOW)
    return body.instructions


def _socket(*, shared_network: bool) -> list[tuple[int, int, int, int]]:
    """socket(family, type, protocol): no family that nobody needs; MPTCP and SCTP go past Landlock, so do datagrams."""
    body = _Builder()
    body.argument(0)
    for family in (_UNIX, _NETLINK):
        body.add(_JUMP_EQUAL, family, no=1)
        body.add(_RETURN, _ALLOW)
    body.add(_JUMP_EQUAL, _INET, yes=2)
    body.add(_JUMP_EQUAL, _INET6, yes=1)
    body.refuse(errno.EAFNOSUPPORT)
    if shared_network:
        body.argument(1)
        body.add(_AND, 0xF)
        body.add(_JUMP_EQUAL, _STREAM, yes=1)
        body.refuse(errno.EACCES)
        body.argument(2)
        body.add(_JUMP_EQUAL, 0, yes=2)
        body.add(_JUMP_EQUAL, _TCP, yes=1)
        body.refuse(errno.EACCES)
    body.add(_RETURN, _ALLOW)
    return body.instructions


def restrict(*, shared_network: bool) -> None:
    """Put the filter into force for this process and its children. OSError if the kernel refuses."""
    machine = os.uname().machine
    if machine not in _CALLS:
        raise OSError(f"no filter is known for {machine}")
    raw = program(machine, shared_network=shared_network)
    no_new_privileges()
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, struct.pack("=H6x", len(raw) // 8) + pointer(raw))
