"""What a room gets in the best isolation that there is: what it needs for a day's work, and nothing of anybody else."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap

KEY = "sk-ant-api03-a-key-that-no-room-may-see"
BASH = {"allow": ["Bash"]}

pytestmark = needs_bubblewrap


async def _report(house: House, **commands: str) -> dict[str, str]:
    """What each command says, all in one turn."""
    lines = [f"echo; echo '=== {name}'; ({command}) 2>&1" for name, command in commands.items()]
    said = await house.shell("\n".join([*lines, "true"]))
    parts = (part.partition("\n") for part in f"\n{said}\n".split("\n=== ")[1:])
    return {name: text.strip() for name, _, text in parts}


async def test_a_room_sees_itself_and_nothing_else(people: People, model: Model, workplace: Path) -> None:
    environ = {"ANTHROPIC_API_KEY": KEY}
    async with move_in(people, model, workplace, rooms=2, room=BASH, environ=environ) as house:
        neighbour = house.rooms[1]
        await house.shell("echo the neighbours > secret; cat secret", room=neighbour)
        token, data = house.account.access_token, house.daemon.data_dir
        said = await _report(
            house,
            own="pwd; touch made; ls",
            data=f"ls {data}; cat {data}/aiagentchat.db",
            room=f"ls {house.workspace(1)}; cat {house.workspace(1)}/secret",
            processes="cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
            environ="cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -e AICHAT_RUN -e MATRIX -e KEY | sort -u",
            env="env",
            key=f"command grep -rls {KEY[:-1]}[{KEY[-1]}] /proc/[0-9]*/[ec][nm]* $HOME $TMPDIR /run /etc .",
            host=f"ls /proc/{house.daemon.pid}; hostname; ls /var /home /root /srv",
        )
        await house.ask("/status")
        status = await house.anna.until_message(house.room, "isolation: ", sender=house.account.user_id)

        assert said["own"] == f"{house.workspace()}\nmade"
        assert "No such file" in said["data"]
        assert "No such file" in said["room"]
        assert "the neighbours" not in str(said)
        assert "stream-json" in said["processes"]
        assert "aiagentchat run" not in said["processes"]
        assert "-m aiagentchat" not in said["processes"]
        assert said["environ"].startswith("AICHAT_RUN=")
        assert "MATRIX" not in said["environ"]
        assert f"HOME={data}/homes/room0" in said["env"]
        assert token not in str(said)
        assert KEY not in str(said)
        assert said["key"] == ""
        assert f"cannot access '/proc/{house.daemon.pid}'" in said["host"]
        assert "\nroom\n" in said["host"]
        assert "isolation: strict" in status.body
    assert KEY not in "".join(request.raw for request in model.requests(house.account.user_id))


@pytest.mark.long
async def test_a_room_commits_as_who_it_is_said_to_be_and_has_its_environment(
    people: People, model: Model, workplace: Path
) -> None:
    room = {**BASH, "git": {"name": "Room Zero", "email": "zero@example.org"}, "env": {"GREETING": "good 'day'"}}
    async with move_in(people, model, workplace, room=room) as house:
        said = await _report(
            house,
            commit="git init -q && touch a && git add a && git commit -qm first && git log --format='%an %ae %cn %ce'",
            env='echo "$GREETING"',
        )

        assert said["commit"] == "Room Zero zero@example.org Room Zero zero@example.org"
        assert said["env"] == "good 'day'"


@pytest.mark.long
async def test_mounts_hold_for_what_the_shell_does(people: People, model: Model, workplace: Path) -> None:
    for name in ("shown", "shared", "hidden"):
        (workplace / name).mkdir()
        (workplace / name / "note").write_text(f"words in {name}\n")
    mounts = [{"path": str(workplace / "shown")}, {"path": str(workplace / "shared"), "mode": "rw"}]
    async with move_in(people, model, workplace, room={**BASH, "mounts": mounts}) as house:
        said = await _report(
            house,
            shown=f"cat {workplace}/shown/note",
            change=f"echo new > {workplace}/shown/note",
            shared=f"cat {workplace}/shared/note; echo new > {workplace}/shared/note",
            hidden=f"cat {workplace}/hidden/note",
            beside=f"ls {workplace}",
        )

        assert said["shown"] == "words in shown"
        assert "Read-only file system" in said["change"]
        assert said["shared"] == "words in shared"
        assert "No such file" in said["hidden"]
        assert said["beside"].split() == ["data", "rooms", "shared", "shown"]
    assert (workplace / "shown" / "note").read_text() == "words in shown\n"
    assert (workplace / "shared" / "note").read_text() == "new\n"


SERVED = """
import http.server, threading, urllib.request
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/hello.txt").read().decode())
"""
POOLED = """
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        print(sum(pool.map(abs, [-1, -2, -3])), multiprocessing.Lock())
"""
MAKEFILE = "made: hello.txt\n\tcat hello.txt > made && echo made it\n"


@pytest.mark.long
async def test_a_days_work_is_possible(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room=BASH) as house:
        house.workspace().mkdir(exist_ok=True)
        for name, text in {
            "hello.txt": "hello",
            "served.py": SERVED,
            "pooled.py": POOLED,
            "Makefile": MAKEFILE,
            "say.js": "require('fs').writeFileSync('by-node', 'x'); console.log('node', 6 * 7)",
        }.items():
            (house.workspace() / name).write_text(text)
        house.daemon.write_config()  # gives it all to the daemon's user
        said = await _report(
            house,
            make="make -s made; make -s made",
            venv="/usr/bin/python3 -m venv --without-pip .venv && .venv/bin/python -c 'print(6 * 7)'",
            node="command -v node > /dev/null && node say.js || echo node 42",
            home='echo kept > "$HOME/note" && cat "$HOME/note"',
            tmp='f=$(mktemp) && echo "$f" && echo x > "$f" && case $f in "$TMPDIR"/*) echo in TMPDIR;; esac',
            slash_tmp="echo x > /tmp/a && cat /tmp/a && echo y > /var/tmp/b && cat /tmp/b",
            shm="/usr/bin/python3 pooled.py; ls -ld /dev/shm | cut -c1-10",
            server="/usr/bin/python3 served.py",
            who="id -un; getent hosts localhost | cut -d' ' -f1; date +%Y",
        )

        assert said["make"] == "made it"
        assert said["venv"] == "42"
        assert said["node"] == "node 42"
        assert said["home"] == "kept"
        assert said["tmp"].endswith("in TMPDIR")
        assert said["slash_tmp"] == "x\ny"
        assert said["shm"].startswith("6 <Lock(")
        assert said["server"].endswith("hello")
        assert said["who"].startswith("agent\n")
    assert (house.daemon.data_dir / "homes/room0/note").read_text() == "kept\n"


async def test_without_the_isolation_that_is_asked_for_nothing_starts(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False, isolation_minimum="strict") as house:
        (workplace / "bin").mkdir()
        (workplace / "bin" / "setpriv").symlink_to("/usr/bin/setpriv")
        house.daemon.environ["PATH"] = str(workplace / "bin")
        house.daemon.write_config()
        command = await house.ask(script("is anybody there", Step(text="Yes.")))
        argv = [*house.daemon.before, sys.executable, "-m", "aiagentchat", "run", "--config", str(house.daemon.config)]
        ended = await asyncio.to_thread(
            subprocess.run, argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False
        )

        assert ended.returncode == 8
        assert "bubblewrap is not installed" in ended.stderr
        assert "apt-get install bubblewrap" in ended.stderr
        assert "isolation_minimum: landlock" in ended.stderr
        assert house.anna.reactions(house.room, command) == {}
        assert list(house.daemon.workspaces.iterdir()) == []
