"""What stands in on a host of tests for what takes long: a Python that installs nothing, a daemon that is a version.

A release behaves as its version says: `2.broken` ends at its start, `2.silent` is never ready, `2.brief` is ready and
then ends. Those that can be asked are `2.well`, `2.ill`, and `2.weak`, which lives and would not answer in a room. What
is installed for `2.unfit` does not fit together; the database of `2.full` cannot be copied. `2.newer` changes the
database so that others take it no more; `1.slow` is ready in its first life only.
"""

PYTHON = r"""#!/bin/bash
# Stands in for python3: makes a venv whose aiagentchat is the daemon beside it, and writes down what it was to install.
here=$(dirname "$0")
case $1 in
    -c) exit 0 ;;
esac
case $2 in
    venv)
        mkdir -p "$3/bin"
        printf '#!/bin/bash\nexec %s "$@"\n' "$0" >"$3/bin/python"
        chmod +x "$3/bin/python"
        cp "$here/daemon" "$3/bin/aiagentchat"
        touch "$here/newest"
        ln -sfn "$(dirname "$3")" "$here/newest"
        ;;
    pip)
        echo "$*" >>"$here/pip.log"
        if [ "$3" = check ] && grep -qs unfit "$here/newest/aiagentchat/__init__.py"; then
            echo "nio 1 has requirement peewee>=4"
            exit 1
        fi
        ;;
esac
"""

DAEMON = r'''#!/usr/bin/python3 -I
"""Stands in for the daemon, which does what its version or its settings say."""
import os, pathlib, signal, socket, sys, time

release = pathlib.Path(__file__).resolve().parents[2]
file = release / "aiagentchat/__init__.py"
version = file.read_text() if file.exists() else "wheel"

CAN_BE_ASKED = any(word in version for word in ("ill", "well", "weak"))
database = pathlib.Path(os.environ["HOME"], "data/aiagentchat.db")


def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


match sys.argv[1:]:
    case ["check", _, config]:
        if "nonsense" in pathlib.Path(config).read_text():
            sys.exit("config.yaml:1: nonsense")
    case ["drain", _, wait, *_]:
        print(f"drained for {wait} by {release.name}")
        pid = release.parents[4] / "systemd/pid"
        if text := pid.read_text():
            os.kill(int(text), signal.SIGTERM)
        while pid.read_text():
            time.sleep(0.02)
    case ["db", "backup", *_] if "full" in version:
        sys.exit("No space left on device")
    case ["db", "backup", copy, *_]:
        pathlib.Path(copy).write_text(release.name)
        print(f"Copied {database} to {copy} (0.0 MB), and read the copy through.")
    case ["rooms" | "logs" | "init" | "bootstrap" as asked, *_]:
        print(f"{asked} asked by {os.getuid()} in {os.environ['HOME']} of {os.environ.get('AIAGENTCHAT_CONFIG')}")
    case ["healthcheck", *_] if not CAN_BE_ASKED:
        sys.exit(2)
    case ["healthcheck", "--help"]:
        pass
    case ["healthcheck", "--config", _, *ready]:
        if "ill" in version or ("weak" in version and ready):
            sys.exit("the database cannot be written")
    case ["run", *_]:
        secrets = len(os.listdir(os.environ["CREDENTIALS_DIRECTORY"]))
        print(f'{{"event": "daemon.starting", "secrets": {secrets}}}', flush=True)
        database.parent.mkdir(exist_ok=True)
        if "newer" in version:
            database.write_text("newer")
            database.with_name("aiagentchat.db-wal").touch()
        elif database.exists() and database.read_text() == "newer":
            sys.exit(5)
        if CAN_BE_ASKED:
            print('{"event": "service.started", "service": "sync"}', flush=True)
        if "broken" in version:
            print('{"event": "daemon.ended"}')
            sys.exit(3)
        calls = pathlib.Path(os.environ["NOTIFY_SOCKET"]).with_name("calls")
        before = len(calls.read_text())
        lived = database.with_name("lived")
        if "silent" not in version and not ("slow" in version and lived.exists()):
            tell("READY=1")
        lived.touch()
        if "brief" in version:  # until it was seen to be ready: then its kind is asked for
            while "show -p Type" not in calls.read_text()[before:]:
                time.sleep(0.05)
            sys.exit(1)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()
'''
