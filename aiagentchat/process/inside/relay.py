"""From a loopback port inside to the unix socket of the run's way out. It only forwards; it is trusted with nothing.

The port must be there before the command starts; everything else can wait until it does. So what takes long to import
is imported then, and the command does not wait for it.
"""

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import threading

CHUNK = 65_536
CONNECTIONS = 128
"""How many are forwarded at once; more wait for their turn."""
_WAITING = 128


def listen() -> "_socket.socket":
    """A socket on a free loopback port."""
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_WAITING)
    return listener


def forward(listener: "_socket.socket", gate: str) -> None:
    """Accept for ever, in a thread that ends with the process."""
    import socket
    import threading

    served = socket.socket(fileno=listener.detach())
    threading.Thread(target=_accept, args=[served, gate], daemon=True).start()


def _accept(listener: "socket.socket", gate: str) -> None:
    import threading

    places = threading.BoundedSemaphore(CONNECTIONS)
    while True:
        places.acquire()
        inner, _ = listener.accept()
        threading.Thread(target=_serve, args=[inner, gate, places], daemon=True).start()


def _serve(inner: "socket.socket", gate: str, places: "threading.BoundedSemaphore") -> None:
    import threading

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


def dial(path: str) -> "socket.socket":
    """Connect to a unix socket, however long its path is: the kernel takes 107 bytes."""
    import socket

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


def _pump(source: "socket.socket", target: "socket.socket") -> None:
    """Until `source` ends; `target` then hears that nothing more comes."""
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    except OSError:
        pass
    for each, how in ((target, _socket.SHUT_WR), (source, _socket.SHUT_RD)):
        try:
            each.shutdown(how)
        except OSError:
            pass
