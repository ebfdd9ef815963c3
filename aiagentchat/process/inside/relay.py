"""From a loopback port inside to the unix socket of the run's way out. It only forwards; it is trusted with nothing."""

import os
import socket
import threading

CHUNK = 65_536
CONNECTIONS = 128
"""How many are forwarded at once; more wait for their turn."""
_WAITING = 128


def listen() -> socket.socket:
    """A socket on a free loopback port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_WAITING)
    return listener


def forward(listener: socket.socket, gate: str) -> None:
    """Accept for ever, in a thread that ends with the process."""
    threading.Thread(target=_accept, args=[listener, gate], daemon=True).start()


def _accept(listener: socket.socket, gate: str) -> None:
    places = threading.BoundedSemaphore(CONNECTIONS)
    while True:
        places.acquire()
        inner, _ = listener.accept()
        threading.Thread(target=_serve, args=[inner, gate, places], daemon=True).start()


def _serve(inner: socket.socket, gate: str, places: threading.BoundedSemaphore) -> None:
    try:
        with inner, dial(gate) as outer:
            back = threading.Thread(target=_pump, args=[outer, inner], daemon=True)
            back.start()
            _pump(inner, outer)
            back.join()
    except OSError:
        pass  # the way out is gone: whoever connected sees its connection close
    finally:
        places.release()


def dial(path: str) -> socket.socket:
    """Connect to a unix socket, however long its path is: the kernel takes 107 bytes."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
    outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        outer.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError:
        outer.close()
        raise
    finally:
        os.close(folder)
    return outer


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until `source` ends; `target` then hears that nothing more comes."""
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    except OSError:
        pass
    for each, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            each.shutdown(how)
        except OSError:
            pass
