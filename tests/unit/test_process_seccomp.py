"""What the filter says to a system call, found out by running it in Python; for every machine that it knows."""

import errno
import re
import struct
from pathlib import Path

import pytest

from aiagentchat.process.inside import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
MACHINES = ["x86_64", "aarch64"]
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def refused(number: int = errno.EPERM) -> int:
    return 0x00050000 | number


def verdict(raw: bytes, call: int, *arguments: int, arch: int) -> int:
    """What a classic BPF program returns for this call."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", call, arch, 0, *padded)
    program = list(struct.iter_unpack("<HBBI", raw))
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:
                [accumulator] = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x06:
                return int(value)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")


def ask(machine: str, name: str, *arguments: int, shared: bool = False) -> int:
    numbers = {**seccomp._DENIED[machine], **seccomp._CALLS[machine], **OTHERS[machine]}
    raw = seccomp.program(machine, shared_network=shared)
    return verdict(raw, numbers[name], *arguments, arch=seccomp._AUDIT[machine])


OTHERS = {"x86_64": {"read": 0, "openat": 257, "execve": 59}, "aarch64": {"read": 63, "openat": 56, "execve": 221}}
NEW_USER, CHILD = 0x10000000, 17
STREAM, DATAGRAM, CLOEXEC, TCP, MPTCP = 1, 2, 0o2000000, 6, 262
UNIX, INET, INET6, NETLINK, PACKET = 1, 2, 10, 16, 17


@pytest.mark.parametrize("machine", MACHINES)
def test_what_programs_need_is_allowed(machine: str) -> None:
    assert [ask(machine, name) for name in ("read", "openat", "execve")] == [ALLOW] * 3
    assert ask(machine, "clone", CHILD) == ALLOW
    assert ask(machine, "ioctl", 1, 0x5401) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_everything_on_the_list_is_refused(machine: str) -> None:
    assert {ask(machine, name) for name in seccomp._DENIED[machine]} == {refused()}
    assert ask(machine, "clone", NEW_USER | CHILD) == refused()
    assert ask(machine, "clone3") == refused(errno.ENOSYS)
    assert [ask(machine, "ioctl", 0, number) for number in (0x5412, 0x541C)] == [refused()] * 2


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("family", "kind", "protocol", "private", "shared"),
    [
        pytest.param(UNIX, STREAM, 0, ALLOW, ALLOW, id="unix"),
        pytest.param(NETLINK, DATAGRAM, 0, ALLOW, ALLOW, id="netlink"),
        pytest.param(INET, STREAM | CLOEXEC, 0, ALLOW, ALLOW, id="TCP by default"),
        pytest.param(INET6, STREAM, TCP, ALLOW, ALLOW, id="TCP by name"),
        pytest.param(INET, DATAGRAM, 0, ALLOW, refused(errno.EACCES), id="UDP"),
        pytest.param(INET, STREAM, MPTCP, ALLOW, refused(errno.EACCES), id="MPTCP"),
        pytest.param(PACKET, DATAGRAM, 0, refused(errno.EAFNOSUPPORT), refused(errno.EAFNOSUPPORT), id="packets"),
    ],
)
def test_only_sockets_that_somebody_watches_are_made(
    machine: str, family: int, kind: int, protocol: int, private: int, shared: int
) -> None:
    assert ask(machine, "socket", family, kind, protocol) == private
    assert ask(machine, "socket", family, kind, protocol, shared=True) == shared


@pytest.mark.parametrize("machine", MACHINES)
def test_sending_does_not_connect_on_a_shared_network(machine: str) -> None:
    fast = 0x20000000

    assert ask(machine, "sendto", 3, 0, 0, fast, shared=True) == refused()
    assert ask(machine, "sendmsg", 3, 0, fast, shared=True) == refused()
    assert ask(machine, "sendto", 3, 0, 0, 0, shared=True) == ALLOW
    assert ask(machine, "sendto", 3, 0, 0, fast) == ALLOW


def test_another_architecture_ends_the_process() -> None:
    raw = seccomp.program("x86_64", shared_network=False)

    assert verdict(raw, 0, arch=0x40000003) == KILL
    assert verdict(raw, 0x40000000 | 59, arch=seccomp._AUDIT["x86_64"]) == refused()


def test_a_machine_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        seccomp.program("riscv64", shared_network=False)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", text)}
    ours = {**seccomp._DENIED[machine], **seccomp._CALLS[machine]}

    assert {name: known.get(name, number) for name, number in ours.items()} == ours
    assert len(ours.keys() & known.keys()) > len(ours) - 3
