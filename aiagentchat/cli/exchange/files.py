"""Small files with secrets in them, and where the daemon keeps its own. Without pydantic: these start every `cchat`."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from aiagentchat.cli.exchange.exits import Exit, NotDone

_MOST_BYTES = 1024 * 1024


class Closed(NotDone):
    """It is the daemon's, and we are not whoever runs it."""


def closed(file: Path) -> NoReturn:
    """Raises Closed: why it cannot be opened, and what to do."""
    raise Closed(
        f"only the user that runs the daemon may open {file}: run cchat as that user, or have a token of your own made "
        "(gateway.callers in config.yaml) and give --gateway http://127.0.0.1:8870 and --token-file",
        Exit.NOT_ALLOWED,
    )


def read_secret(file: Path, option: str) -> str:
    """One line that only its owner can read. Raises NotDone; `option` says where the name came from."""
    text = read_private(file, option).strip()
    if not text:
        raise NotDone(f"{option}: {file}: the file is empty; write the secret into it", Exit.USAGE)
    if not text.isprintable():
        raise NotDone(f"{option}: {file}: the secret must be one line of text", Exit.USAGE)
    return text


def read_private(file: Path, option: str) -> str:
    """The text of a file that only its owner can read. Raises NotDone."""
    try:
        # Not blocking, so that a pipe in its place cannot hold us up.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise NotDone(f"{option}: {file}: this is not a file", Exit.USAGE)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise NotDone(f"{option}: {file}: other users can read this file; run: chmod 600 {file}", Exit.USAGE)
            return os.read(descriptor, _MOST_BYTES).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise NotDone(f"{option}: {file}: the file cannot be read: {reason}", Exit.USAGE) from None


def write_private(file: Path, text: str) -> None:
    """Put `text` into a file for its owner alone, whole or not at all. Raises NotDone."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(file)
    except OSError as error:
        raise NotDone(f"{file}: the file cannot be written: {error.strerror}", Exit.FAILED) from None


def config_values(file: Path) -> Mapping[str, Any]:
    """config.yaml as it stands there: `aiagentchat check` says what is wrong with it. Raises NotDone."""
    import yaml

    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST_BYTES)
        found = yaml.load(raw.decode("utf-8-sig"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except PermissionError:
        closed(file)
    except OSError as error:
        raise NotDone(f"{file}: the file cannot be read: {error.strerror}", Exit.USAGE) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise NotDone(f"{file}: this is not YAML; aiagentchat check says where", Exit.USAGE) from None
    return found if isinstance(found, Mapping) else {}


def data_dir(file: Path, values: Mapping[str, Any], home: str) -> Path:
    """Where the daemon of that config.yaml keeps what is its own; found as the daemon finds it."""
    text = str(values.get("data_dir") or "./data")
    if text.startswith("~"):
        text = home + text.removeprefix("~")
    return Path(os.path.normpath(Path(os.path.realpath(file)).parent / text))
