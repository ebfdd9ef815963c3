"""What attacks are made of: their register, the C library, and system calls that it has no name for."""

import ctypes
import os
import platform
from collections.abc import Callable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
MOST_SEEN = 3000
"""Characters of what an attack saw that are told."""

_NUMBERS = {
    "x86_64": {
        "add_key": 248, "keyctl": 250, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "fsopen": 430, "clone3": 435, "pidfd_getfd": 438,
    },
    "aarch64": {
        "add_key": 217, "keyctl": 219, "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
        "fsopen": 430, "clone3": 435, "pidfd_getfd": 438,
    },
}  # fmt: skip


class Targets:
    """What the lab has told."""

    def __init__(self, told: "dict[str, Any]") -> None:
        self.tag: str = told["tag"]
        """Stands before secrets that must be looked for; the secrets themselves are not told."""
        self.paths: dict[str, str] = told["paths"]
        """By attack, the file or folder that it aims at."""
        self.workspace: str = told["workspace"]
        self.daemon: dict[str, Any] = told["daemon"]
        """What the decoy daemon has said about itself."""
        self.run: int = told["run"]
        """The process of the other room."""

    @property
    def pid(self) -> int:
        """The decoy daemon's."""
        return int(self.daemon["pid"])


Attack = Callable[[Targets, str], str]
"""Does it, and returns what it saw; raises OSError where it was stopped."""

ATTACKS: "dict[str, Attack]" = {}


def attack(*ids: str) -> "Callable[[Attack], Attack]":
    """Register a function as the attacks `ids`."""

    def register(function: Attack) -> Attack:
        ATTACKS.update(dict.fromkeys(ids, function))
        return function

    return register


class NotHere(OSError):
    """This machine has nothing to attack here."""


def call(name: str, *arguments: object) -> int:
    """A system call by name. Raises OSError."""
    try:
        number = _NUMBERS[platform.machine()][name]
    except KeyError:
        raise NotHere(f"the number of {name} on {platform.machine()} is not known here") from None
    return checked(libc.syscall(ctypes.c_long(number), *(_argument(each) for each in arguments)), name)


def checked(result: int, what: str) -> int:
    """The result of a C function that says -1 for an error. Raises OSError."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _argument(value: object) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value


def read(path: str, most: int = 4096) -> str:
    """The beginning of a file, whatever is in it."""
    with open(path, "rb") as file:
        return file.read(most).decode("utf-8", "replace")


def around(tag: str, text: str) -> str:
    """What stands behind each `tag`. Raises OSError if there is none."""
    found = [part[:100] for part in text.split(tag)[1:]]
    if not found:
        raise OSError("nothing of the lab's to be seen")
    return " ".join(found[:20])


def processes() -> "list[int]":
    """Everybody who is to be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def of_processes(name: str, *chosen: int) -> str:
    """A file of /proc for these processes, or for all that are to be seen. Raises OSError if there is none to read."""
    texts, problem = [], OSError("no process to be seen")
    for pid in chosen or processes():
        try:
            texts.append(read(f"/proc/{pid}/{name}", 65_536))
        except OSError as error:
            problem = error
    if not texts:
        raise problem
    return "\n".join(texts)
