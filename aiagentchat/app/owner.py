"""One daemon per data_dir: the owner holds a lock for as long as it lives, however it ends.

One daemon per account is another promise, kept by `matrix/ownership.py`.
"""

import errno
import fcntl
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiagentchat.core.errors import AlreadyRunning, AppError, ConfigError

LOCK = "daemon.lock"
SIGN = "daemon.alive"
"""The daemon's sign of life (`app/sign_of_life.py`). One of an earlier life says nothing."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def own(data_dir: Path) -> Iterator[None]:
    """Own `data_dir`, made if it is not there. Raises AlreadyRunning, or ConfigError if it cannot be made."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        lock = data_dir / LOCK
        if error.errno == errno.ELOOP:
            raise ConfigError([f"{lock} is a link, which no daemon has made; remove it"]) from error
        if isinstance(error, PermissionError) and _is_lock_alone(data_dir):
            raise ConfigError(
                [f"{lock} is another user's; give it back, as root: chown --reference={data_dir} {lock}"]
            ) from error
        raise ConfigError([f"data_dir {data_dir}: {error.strerror}; make it writable for uid {os.getuid()}"]) from error
    try:
        _give_back(descriptor, data_dir)
        _lock(descriptor, data_dir)
        (data_dir / SIGN).unlink(missing_ok=True)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _give_back(descriptor: int, data_dir: Path) -> None:
    """What root makes in the place of the daemon's user belongs to that one; a second name of some file does not."""
    whose, lock = data_dir.stat(), os.fstat(descriptor)
    if os.geteuid() == 0 and (lock.st_uid, lock.st_nlink) == (0, 1) and stat.S_ISREG(lock.st_mode):
        os.fchown(descriptor, whose.st_uid, whose.st_gid)


def _lock(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise AlreadyRunning(
            f"another daemon (pid {pid or 'unknown'}) owns {data_dir}; stop it, or give this one its own data_dir"
        ) from error


def see_into(data_dir: Path) -> None:
    """Raises AppError where it is another user's: what is in there would look as if it were not there."""
    try:
        (data_dir / LOCK).stat()
    except PermissionError as error:
        raise _closed(data_dir) from error
    except OSError:
        pass  # nobody has been there yet


def _closed(data_dir: Path) -> AppError:
    if _is_lock_alone(data_dir):
        lock = data_dir / LOCK
        return AppError(
            f"{lock} is another user's, as when root has typed a command in the daemon's place. Nothing was changed; "
            f"give it back, as root: chown --reference={data_dir} {lock}"
        )
    owner = owner_of(data_dir)
    if owner is None:
        return AppError(
            f"{data_dir} is closed to uid {os.geteuid()}: do this as the daemon's user. Nothing was changed"
        )
    return AppError(
        f"{data_dir} is closed to uid {os.geteuid()}: do this as the daemon's user, with sudo -u {owner} in front of "
        "it. Nothing was changed"
    )


def _is_lock_alone(data_dir: Path) -> bool:
    """Whether the folder is open to us: then somebody else has made what is in it."""
    return os.access(data_dir, os.X_OK) and (data_dir / LOCK).exists()


def owner_of(path: Path) -> str | None:
    """Whose it is, as `sudo -u` takes it; None where that cannot be seen."""
    try:
        uid = path.stat().st_uid
        return pwd.getpwuid(uid).pw_name
    except OSError:
        return None
    except KeyError:
        return f"'#{uid}'"


def owner_pid(data_dir: Path) -> int | None:
    """The process that owns `data_dir` now, None if nobody does. Raises AppError where that cannot be seen."""
    try:
        descriptor = os.open(data_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise _closed(data_dir) from error
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def this_machine(boot_id: Path = BOOT_ID) -> tuple[str, str]:
    """The name of this host, and an id that changes with every start of the machine; "" where the kernel has none."""
    try:
        return socket.gethostname(), boot_id.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname(), ""
