"""Attacks on what processes share without a file: System V objects, POSIX queues, the kernel's keyring."""

import contextlib
import ctypes
import os

from .tools import Targets, attack, call, checked, libc

IPC_RMID, IPC_PRIVATE, IPC_CREAT, IPC_NOWAIT = 0, 0, 0o1000, 0o4000
SETVAL, GETVAL = 16, 12
RAIDED_VALUE = 7
"""What the attack sets a semaphore to."""
MESSAGE_BYTES = 512
USER_KEYRING, SESSION_KEYRING = -4, -3
KEY_LINK, KEY_SEARCH, KEY_READ, KEY_SETPERM, KEY_TIMEOUT, KEY_INVALIDATE = 8, 10, 11, 5, 15, 21


class Message(ctypes.Structure):
    """What goes into a System V queue."""

    _fields_ = (("kind", ctypes.c_long), ("text", ctypes.c_char * 256))


def librt() -> ctypes.CDLL:
    """Where POSIX queues are: older C libraries have them apart."""
    return libc if hasattr(libc, "mq_open") else ctypes.CDLL("librt.so.1", use_errno=True)


def attach(id_: int) -> "ctypes.Array[ctypes.c_char]":
    """System V shared memory, as bytes. Raises OSError."""
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(id_, None, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        checked(-1, "shmat")
    return (ctypes.c_char * 256).from_address(address)


def forget_key(name: str) -> None:
    """Remove the decoy's key. Raises OSError if it is not there."""
    call("keyctl", KEY_INVALIDATE, call("keyctl", KEY_SEARCH, USER_KEYRING, b"user", name.encode(), 0), 0, 0, 0)


@attack("shared.sysv_shm")
def memory(targets: Targets, id_: str) -> str:  # noqa: ARG001 - as all attacks
    return attach(int(targets.daemon["shm"])).value.decode()


@attack("shared.sysv_sem")
def semaphore(targets: Targets, id_: str) -> str:  # noqa: ARG001
    checked(libc.semctl(int(targets.daemon["sem"]), 0, SETVAL, RAIDED_VALUE), "semctl")
    return ""


@attack("shared.sysv_msg")
def queue(targets: Targets, id_: str) -> str:  # noqa: ARG001
    message = Message()
    size = ctypes.sizeof(Message) - ctypes.sizeof(ctypes.c_long)
    checked(libc.msgrcv(int(targets.daemon["msg"]), ctypes.byref(message), size, 0, IPC_NOWAIT), "msgrcv")
    return str(message.text.decode())


@attack("shared.mqueue")
def posix_queue(targets: Targets, id_: str) -> str:  # noqa: ARG001
    library = librt()
    descriptor = checked(library.mq_open(str(targets.daemon["mq"]).encode(), os.O_RDONLY | os.O_NONBLOCK), "mq_open")
    buffer = ctypes.create_string_buffer(MESSAGE_BYTES)
    checked(library.mq_receive(descriptor, buffer, MESSAGE_BYTES, None), "mq_receive")
    return buffer.value.decode()


@attack("shared.keyring")
def keyring(targets: Targets, id_: str) -> str:  # noqa: ARG001
    with contextlib.suppress(OSError):  # whoever has linked it in may do more with what is in it
        call("keyctl", KEY_LINK, USER_KEYRING, SESSION_KEYRING, 0, 0)
    key = call("keyctl", KEY_SEARCH, USER_KEYRING, b"user", str(targets.daemon["key"]).encode(), 0)
    buffer = ctypes.create_string_buffer(256)
    call("keyctl", KEY_READ, key, buffer, len(buffer), 0)
    return buffer.value.decode()
