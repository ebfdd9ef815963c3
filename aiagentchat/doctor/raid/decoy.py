"""What the raid aims at: something that looks like the daemon, and something that looks like another room's run.

They read one line of orders from stdin, say one line about themselves, then `heard ATTACK` for what reaches them, and
end when stdin does. Unlike the daemon the decoy lets itself be debugged: a sandbox has to hold by itself.
"""

import contextlib
import ctypes
import json
import mmap
import os
import pty
import select
import signal
import socket
import sys
import tty
from typing import Any, TypeAlias

from . import shared
from .tools import call, checked, libc

_OBJECT_MODE = 0o600
_KEY_SECONDS = 300
_KEY_FOR_THE_USER = 0x3F3F_0000  # what its owner and his programs may do: everything
_HEARD_BY_DATAGRAM = ("net.udp",)

Socket: TypeAlias = "socket.socket"


def main(role: str) -> None:
    """Be a decoy until stdin ends. `role` is daemon or run."""
    orders = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGUSR1, lambda *_: say(f"heard process.signal_{role}"))
    if role == "run":
        say(json.dumps({"pid": os.getpid()}))
        while sys.stdin.readline():
            say("{}")
    else:
        Daemon(orders).serve()


def say(line: str) -> None:
    """One line, at once."""
    os.write(1, line.encode() + b"\n")


class Daemon:
    """Has one of everything that a room should not reach."""

    def __init__(self, orders: "dict[str, Any]") -> None:
        self.tag: str = orders["tag"]
        self.secrets: dict[str, str] = orders["secrets"]
        self.paths: dict[str, str] = orders["paths"]
        self.greetings: dict[Socket, bytes] = {}
        self.datagrams: Socket | None = None
        self.terminal = -1
        self.kept: list[object] = []
        """What must not be given back while we live."""
        self.writable = ctypes.create_string_buffer(b"intact", 64)

    def serve(self) -> None:
        """Answer until stdin ends."""
        os.chdir(os.path.dirname(self.paths["file"]))
        said = {"pid": os.getpid(), **self._memory(), **self._objects(), **self._sockets(), **self._terminal()}
        say(json.dumps(said))
        waiting: list[Any] = [0, self.terminal, *self.greetings, *([self.datagrams] if self.datagrams else [])]
        while True:
            ready, _, _ = select.select([each for each in waiting if each != -1], [], [])
            for each in ready:
                if each == 0:
                    if not os.read(0, 4096):
                        return
                    say(json.dumps({"memory": self.writable.value.decode("latin-1")}))
                else:
                    self._answer(each)

    def _answer(self, ready: Any) -> None:  # noqa: ANN401 - a socket or the number of a terminal
        if ready == self.terminal:
            os.read(self.terminal, 64)
            say("heard kernel.tiocsti")
        elif self.datagrams is not None and ready is self.datagrams:
            said = ready.recv(256).decode("ascii", "replace")
            if said in _HEARD_BY_DATAGRAM:
                say(f"heard {said}")
        else:
            connection, _ = ready.accept()
            with contextlib.suppress(OSError), connection:
                connection.sendall(self.greetings[ready])

    def _memory(self) -> "dict[str, Any]":
        secret = ctypes.create_string_buffer(f"{self.tag}{self.secrets['memory']}".encode(), 128)
        descriptor = os.open(self.paths["file"], os.O_RDONLY)
        with open(self.paths["mapped"], "r+b") as file:
            mapped = mmap.mmap(file.fileno(), 0)
        self.kept += [secret, mapped]
        where = {"address": ctypes.addressof(secret), "length": len(secret)}
        return {"fd": descriptor, "writable": ctypes.addressof(self.writable), **where}

    def _objects(self) -> "dict[str, Any]":
        """What this machine does not have is -1, or nobody's name."""
        made: dict[str, Any] = {"shm": -1, "sem": -1, "msg": -1, "mq": f"/{self.tag}", "key": self.tag}
        for name, make in (("shm", self._shm), ("sem", self._sem), ("msg", self._msg), ("", self._mq), ("", self._key)):
            with contextlib.suppress(OSError, AttributeError):
                number = make()
                made |= {name: number} if name else {}
        return made

    def _shm(self) -> int:
        id_ = checked(libc.shmget(shared.IPC_PRIVATE, 4096, shared.IPC_CREAT | _OBJECT_MODE), "shmget")
        memory = shared.attach(id_)
        # Marked for removal at once: it goes with whoever uses it last, also when nobody cleans up.
        checked(libc.shmctl(id_, shared.IPC_RMID, None), "shmctl")
        memory.value = self.secrets["shm"].encode()
        self.kept.append(memory)
        return id_

    def _sem(self) -> int:
        return checked(libc.semget(shared.IPC_PRIVATE, 1, shared.IPC_CREAT | _OBJECT_MODE), "semget")

    def _msg(self) -> int:
        id_ = checked(libc.msgget(shared.IPC_PRIVATE, shared.IPC_CREAT | _OBJECT_MODE), "msgget")
        message = shared.Message(1, self.secrets["msg"].encode())
        checked(libc.msgsnd(id_, ctypes.byref(message), ctypes.sizeof(message.__class__) - 8, 0), "msgsnd")
        return id_

    def _mq(self) -> int:
        library = shared.librt()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        # One short message: a user may have few bytes in queues, and one that nobody removed takes little of them.
        small = (ctypes.c_long * 8)(0, 1, shared.MESSAGE_BYTES)
        queue = checked(library.mq_open(f"/{self.tag}".encode(), flags, _OBJECT_MODE, ctypes.byref(small)), "mq_open")
        secret = self.secrets["mq"].encode()
        return checked(library.mq_send(queue, secret, len(secret), 0), "mq_send")

    def _key(self) -> int:
        secret = self.secrets["key"].encode()
        key = call("add_key", b"user", self.tag.encode(), secret, len(secret), shared.USER_KEYRING)
        call("keyctl", shared.KEY_SETPERM, key, _KEY_FOR_THE_USER, 0, 0)
        return call("keyctl", shared.KEY_TIMEOUT, key, _KEY_SECONDS, 0, 0)

    def _sockets(self) -> "dict[str, Any]":
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        tcp = self._listen(socket.AF_INET, ("127.0.0.1", 0), "tcp")
        self._listen(socket.AF_UNIX, self.paths["socket"], "unix")
        os.chmod(self.paths["socket"], _OBJECT_MODE)
        self._listen(socket.AF_UNIX, f"\0{self.tag}", "abstract")
        port6 = 0
        with contextlib.suppress(OSError):  # a machine without IPv6
            port6 = self._listen(socket.AF_INET6, ("::1", 0), "tcp6").getsockname()[1]
        udp = self.datagrams.getsockname()[1]
        return {"tcp": tcp.getsockname()[1], "tcp6": port6, "udp": udp, "abstract": self.tag}

    def _listen(self, family: int, address: "tuple[str, int] | str", secret: str) -> Socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.bind(address)
        listening.listen()
        self.greetings[listening] = self.secrets[secret].encode()
        return listening

    def _terminal(self) -> "dict[str, Any]":
        try:
            master, self.terminal = pty.openpty()
        except OSError:
            return {"terminal": ""}
        tty.setraw(self.terminal)
        self.kept.append(master)
        return {"terminal": os.ttyname(self.terminal)}
