"""The commands that lie in a workspace, which is the agent's: nothing in it is followed, and not everything is read."""

import os
from itertools import islice
from pathlib import Path

from aiagentchat.core.custom_commands import FOLDER, MOST_BYTES, NAME, SUFFIX, called, expanded
from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import Why, open_beneath, open_folder_beneath

MOST_LOOKED_AT = 1000
"""Entries of the folder; beyond that it is no folder of commands."""
MOST_NAMES = 200


def names(workspace: Path) -> tuple[str, ...]:
    """The names of the commands there, in order. Whether a file can be read is seen when it is used."""
    try:
        folder = open_folder_beneath(workspace, FOLDER)
    except NotOpened:
        return ()
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in islice(entries, MOST_LOOKED_AT)]
    except OSError:
        return ()
    finally:
        os.close(folder)
    stems = (name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
    return tuple(sorted(stem for stem in stems if NAME.fullmatch(stem))[:MOST_NAMES])


def expand(workspace: Path, text: str) -> str:
    """What the agent reads in the place of `text`, if that calls a command that is there. Raises NotOpened."""
    found = called(text)
    if found is None:
        return text
    name, arguments = found
    try:
        descriptor = open_beneath(workspace, f"{FOLDER}/{name}{SUFFIX}", most_bytes=MOST_BYTES)
    except NotOpened as error:
        if error.why == Why.MISSING:
            return text
        raise
    try:
        file = os.read(descriptor, MOST_BYTES)
    except OSError as error:
        raise NotOpened(Why.FAILED, f"{name!r}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return expanded(file.decode("utf-8", "replace").replace("\0", ""), arguments)
