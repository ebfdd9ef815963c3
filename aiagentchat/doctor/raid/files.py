"""Attacks on files: each aims at a file of its own, so that the lab sees which one has worked."""

import contextlib
import os

from .tools import Targets, attack, read


@attack(
    "room.read", "home.read", "data.database_read", "data.token", "data.store_key", "credential.ssh",
    "credential.aws", "credential.gcloud", "credential.netrc", "credential.claude", "shared.tmp_read", "shared.shm",
)  # fmt: skip
def read_it(targets: Targets, id_: str) -> str:
    return read(targets.paths[id_])


@attack("room.list", "home.list", "data.list", "shared.tmp_list")
def list_it(targets: Targets, id_: str) -> str:
    # The newest first, so that what the lab has just made is among what is told.
    folder = targets.paths[id_]
    return "\n".join(name for name in os.listdir(folder) if targets.tag in name) or "\n".join(os.listdir(folder))


@attack("room.write", "home.write", "data.database_write", "data.config")
def write_it(targets: Targets, id_: str) -> str:
    with open(targets.paths[id_], "a", encoding="utf-8") as file:
        file.write("raided")
    return ""


@attack("room.create", "home.create")
def create_it(targets: Targets, id_: str) -> str:
    with open(targets.paths[id_], "x", encoding="utf-8") as file:
        file.write("raided")
    return ""


@attack("room.delete")
def delete_it(targets: Targets, id_: str) -> str:
    os.unlink(targets.paths[id_])
    return ""


@attack("room.rename")
def rename_it(targets: Targets, id_: str) -> str:
    os.rename(targets.paths[id_], f"{targets.paths[id_]}.raided")
    return ""


@attack("room.truncate")
def truncate_it(targets: Targets, id_: str) -> str:
    os.truncate(targets.paths[id_], 0)
    return ""


@attack("room.chmod")
def chmod_it(targets: Targets, id_: str) -> str:
    os.chmod(targets.paths[id_], 0o666)
    return ""


@attack("room.utime")
def utime_it(targets: Targets, id_: str) -> str:
    os.utime(targets.paths[id_], (0, 0))
    return ""


@attack("room.xattr")
def xattr_it(targets: Targets, id_: str) -> str:
    os.setxattr(targets.paths[id_], "user.raided", b"1")
    return ""


@attack("room.symlink")
def through_a_link(targets: Targets, id_: str) -> str:
    link = os.path.join(targets.workspace, "a-link")
    os.symlink(targets.paths[id_], link)
    return read(link)


@attack("room.hardlink")
def as_a_link(targets: Targets, id_: str) -> str:
    link = os.path.join(targets.workspace, "another-link")
    os.link(targets.paths[id_], link)
    return read(link)


@attack("room.dotdot", "home.dotdot")
def the_long_way(targets: Targets, id_: str) -> str:
    os.chdir(targets.workspace)
    return read(os.path.relpath(targets.paths[id_], targets.workspace))


@attack("own.settings", "own.program", "own.shim")
def replace_it(targets: Targets, id_: str) -> str:
    """By writing into it, or by putting another one in its place."""
    path = targets.paths[id_]
    with contextlib.suppress(OSError):
        os.chmod(path, 0o755)
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write("raided")
    except OSError:
        own = os.path.join(targets.workspace, "mine")
        with open(own, "w", encoding="utf-8") as file:
            file.write("raided")
        os.replace(own, path)
    return ""
