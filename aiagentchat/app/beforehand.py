"""What lasts long before there is a loop: whoever asks hears all the same that the daemon lives."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from aiagentchat.app.notify import Supervisor, more_time
from aiagentchat.app.owner import SIGN, own
from aiagentchat.app.sign_of_life import EVERY_SECONDS, write


@contextmanager
def alive(data_dir: Path, environ: Mapping[str, str], *, doing: str, missing: str) -> Iterator[None]:
    """Own `data_dir`, and say from a thread that we live: to systemd what is done, to the health check what is missing.

    Raises as `own`.
    """
    supervisor, over = Supervisor(environ, os.getpid()), Event()

    def tell() -> None:
        while True:
            with suppress(OSError):  # the daemon says so, if it is still so
                write(data_dir / SIGN, [missing])
            more_time(supervisor, doing)
            if over.wait(EVERY_SECONDS):
                return

    with own(data_dir):
        thread = Thread(target=tell, name="alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
