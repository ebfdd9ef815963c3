"""System calls that Python has no function for. Their numbers are those of every 64-bit architecture of Linux.

This starts with every run, twice, and `ctypes` takes two milliseconds to import: what it is made of takes half a one.
"""

import _ctypes
import os
import struct

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAPBSET_DROP = 24
_MOST_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x20080522


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001 - so does `ctypes`
    _type_ = "i"


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "l"


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "z"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


class _SystemCall(_ctypes.CFuncPtr):
    _flags_ = _Function._flags_
    _restype_ = _Long


_LIBC = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
_syscall = _SystemCall(_ctypes.dlsym(_LIBC, "syscall"))
_prctl = _Function(_ctypes.dlsym(_LIBC, "prctl"))
_capset = _Function(_ctypes.dlsym(_LIBC, "capset"))

Argument = int | bytes | None
"""A number of 32 bits, a pointer to these bytes, or to nothing."""


def _checked(result: int) -> int:
    if result < 0:
        error = _ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def pointer(data: bytes) -> bytes:
    """How a C struct says where `data` is; true for as long as the caller keeps `data`."""
    return bytes(_Pointer(data))


def syscall(number: int, *arguments: Argument) -> int:
    """Call the kernel. OSError if it refuses."""
    return _checked(_syscall(number, *arguments))


def prctl(option: int, *arguments: Argument) -> None:
    """As `man 2 prctl`. OSError if the kernel refuses."""
    _checked(_prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def drop_capabilities() -> None:
    """What a process of root may do beyond its files: nothing, and no program gives it back (`man 7 capabilities`)."""
    for capability in range(_MOST_CAPABILITIES):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            pass  # there are fewer, or it was not there
    _checked(_capset(struct.pack("=II", _CAPABILITY_VERSION_3, 0), bytes(6 * 4)))


def no_new_privileges() -> None:
    """From here on no program gains anything by being set-uid."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
