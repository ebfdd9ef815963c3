"""Put in place what `enclose` expects to find beside a room's HOME."""

import os

from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import identity, identity_folder


def furnish(cell: Cell) -> None:
    """Write the sandbox's own files of /etc. OSError if the disk does not let us."""
    uid = os.geteuid() if cell.uid is None else cell.uid
    gid = os.getegid() if cell.uid is None else cell.uid
    folder = identity_folder(cell.home)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.chmod(0o755)  # the daemon's umask is for what is secret
    for name, text in identity(cell, uid, gid).items():
        file = folder / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        fresh = folder / f".{name}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o444)
        fresh.replace(file)
