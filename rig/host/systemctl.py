"""Stands in for systemd, where there is none: one unit, started and watched as its file says.

What deploy.sh and the daemon need of it is real: Type=notify over NOTIFY_SOCKET, the user, the environment file, the
credentials, a life that has an id of its own, SIGTERM and then SIGKILL at a stop. Nothing is started again by itself,
and no option that hardens does anything. It is called as `systemctl` and as `journalctl`, runs alone on any Python, and
keeps what it knows in the folder that it gets as its first argument.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


class Unit:
    """The unit's file, and what is remembered about it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "systemd"
        self.state.mkdir(exist_ok=True)
        self.file = folder / "host/etc/systemd/system/aiagentchat.service"

    def all(self, key: str) -> list[str]:
        """The values of a key."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]

    def one(self, key: str, otherwise: str = "") -> str:
        """The last value of a key."""
        return (self.all(key) or [otherwise])[-1]

    def get(self, name: str, otherwise: str = "") -> str:
        """What is remembered under this name."""
        file = self.state / name
        return file.read_text(encoding="utf-8") if file.exists() else otherwise

    def put(self, name: str, value: str) -> None:
        """Remember it, whole or not at all."""
        fresh = self.state / f"{name}.{os.getpid()}.new"
        fresh.write_text(value, encoding="utf-8")
        fresh.replace(self.state / name)


def systemctl(unit: Unit, words: list[str]) -> int:
    """What `systemctl` is called with; its exit code."""
    with (unit.state / "calls").open("a", encoding="utf-8") as calls:
        calls.write(f"{' '.join(words)}\n")
    state = unit.get("state", "inactive")
    match words[0]:
        case "is-active":
            return int(state != "active")
        case "is-failed":
            return int(state != "failed")
        case "show":
            known = {
                "InvocationID": unit.get("invocation"),
                "ActiveState": state,
                "ExecMainStatus": unit.get("code", "0"),
            }
            known |= {"Type": unit.one("Type"), "SubState": "start" if state == "activating" else state}
            print(known[words[2]])
        case "stop":
            stop(unit)
        case "start" if state not in ("active", "activating"):
            start(unit)
        case "restart":
            stop(unit)
            start(unit)
    return 0


def stop(unit: Unit) -> None:
    """SIGTERM, and SIGKILL when the unit's time is over."""
    keeper = unit.get("keeper")
    if not keeper:
        return
    deadline = time.monotonic() + float(unit.one("TimeoutStopSec", "20"))
    number = int(signal.SIGTERM)
    while unit.get("keeper") == keeper:
        if pid := unit.get("pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)
            number = 0
        if time.monotonic() > deadline:
            number = int(signal.SIGKILL)
        time.sleep(0.02)


def start(unit: Unit) -> None:
    """A life of its own, with somebody who watches it; returns at once."""
    invocation = secrets.token_hex(16)
    unit.put("invocation", invocation)
    unit.put("state", "activating")
    unit.put("keeper", invocation)
    subprocess.Popen(
        [sys.executable, "-I", __file__, str(unit.state.parent), "keep", invocation],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(unit.state / "trouble").open("ab"),
        close_fds=True,
        start_new_session=True,
        cwd="/",
    )


def keep(unit: Unit, invocation: str) -> int:
    """Start the program, and remember how it is, until it has ended."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify = unit.state / "notify"
    notify.unlink(missing_ok=True)
    line.bind(str(notify))
    notify.chmod(0o666)
    user = unit.one("User")
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    with (unit.state / f"journal.{invocation}").open("ab") as journal:
        process = subprocess.Popen(
            [*argv, "--", *shlex.split(unit.one("ExecStart"))],
            env=environment(unit, invocation),
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            cwd=unit.one("WorkingDirectory"),
        )
    unit.put("pid", str(process.pid))
    if unit.one("Type") != "notify":
        unit.put("state", "active")
    threading.Thread(target=listen, args=[unit, line, invocation], daemon=True).start()
    code = process.wait()
    unit.put("pid", "")
    unit.put("code", str(code))
    unit.put("state", "failed" if code else "inactive")
    unit.put("keeper", "")
    return 0


def listen(unit: Unit, line: socket.socket, invocation: str) -> None:
    """Take down what the daemon says, and believe it."""
    while True:
        said = line.recv(4096).decode()
        with (unit.state / f"said.{invocation}").open("a", encoding="utf-8") as file:
            file.write(f"{said}\n")
        if "READY=1" in said.splitlines() and unit.get("keeper") == invocation:
            unit.put("state", "active")


def environment(unit: Unit, invocation: str) -> dict[str, str]:
    """What the unit gives to the program."""
    values = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": unit.one("WorkingDirectory"),
        "INVOCATION_ID": invocation,
        "NOTIFY_SOCKET": str(unit.state / "notify"),
    }
    if watchdog := unit.one("WatchdogSec"):
        values["WATCHDOG_USEC"] = str(int(watchdog) * 1_000_000)
    for file in unit.all("EnvironmentFile"):
        for text in Path(file.lstrip("-")).read_text(encoding="utf-8").splitlines():
            if "=" in text:
                values[text.partition("=")[0]] = text.partition("=")[2]
    if unit.all("LoadCredential"):
        values["CREDENTIALS_DIRECTORY"] = str(credentials(unit))
    return values


def credentials(unit: Unit) -> Path:
    """A folder with what the unit names, for its user alone."""
    folder = unit.state / "credentials"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for entry in unit.all("LoadCredential"):
        name, _, source = entry.partition(":")
        files = {f"{name}_{file.name}": file for file in Path(source).iterdir()} if Path(source).is_dir() else {}
        for key, file in (files or {name: Path(source)}).items():
            if file.is_file():
                shutil.copy(file, folder / key)
                (folder / key).chmod(0o400)
                shutil.chown(folder / key, unit.one("User"))
    shutil.chown(folder, unit.one("User"))
    return folder


def journalctl(unit: Unit, words: list[str]) -> int:
    """The log of the life that is asked for, or of all since a time."""
    if "--since" in words:
        since = float(words[words.index("--since") + 1].removeprefix("@"))
        lives = sorted(unit.state.glob("journal.*"), key=lambda file: file.stat().st_ctime)
        sys.stdout.write("".join(file.read_text("utf-8") for file in lives if file.stat().st_ctime >= since))
    for word in words:
        invocation = word.partition("_SYSTEMD_INVOCATION_ID=")[2]
        if invocation:
            sys.stdout.write(unit.get(f"journal.{invocation}"))
    return 0


def main() -> int:
    """`systemctl.py FOLDER systemctl|journalctl|keep …`."""
    unit, what, words = Unit(Path(sys.argv[1])), sys.argv[2], sys.argv[3:]
    if what == "keep":
        return keep(unit, words[0])
    return systemctl(unit, words) if what == "systemctl" else journalctl(unit, words)


if __name__ == "__main__":
    sys.exit(main())
