"""What runs are kept in, tried with real processes: as root with a user of its own, and as an ordinary user."""

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import Mount
from aiagentchat.core.errors import IsolationRefused
from aiagentchat.core.isolation import Isolation, RunLimits
from aiagentchat.process.inside import landlock
from aiagentchat.process.inside.main import FAILED
from aiagentchat.process.sandbox import ladder
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import STOP_FD, enclose
from aiagentchat.process.sandbox.furnish import furnish
from aiagentchat.process.sandbox.marks import marked
from aiagentchat.process.tree import Tree
from tests.process.trees import ENVIRONMENT, PATIENCE, argvs, first_line, living, mark, torture, zombies

ROOT = os.geteuid() == 0
UID = 262_001 if ROOT else None
TIME_ZONE = os.path.realpath("/etc/localtime")
HELD = [
    pytest.param(
        Isolation.STRICT,
        marks=pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
        id="strict",
    ),
    pytest.param(Isolation.USERS, marks=pytest.mark.skipif(not ROOT, reason="needs root"), id="users"),
    pytest.param(
        Isolation.LANDLOCK,
        marks=pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock"),
        id="landlock",
    ),
]
EVERY = [*HELD, pytest.param(Isolation.NONE, id="none")]


def uid_in(isolation: Isolation) -> int | None:
    """Who a run becomes: in the two ways that have users of their own."""
    return UID if isolation in {Isolation.STRICT, Isolation.USERS} else None


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the users of rooms can reach, as a data_dir is."""
    made = Path(subprocess.check_output(["mktemp", "-d", "/var/tmp/sandbox.XXXXXX"], text=True).strip())
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def make_cell(place: Path, isolation: Isolation, **more: object) -> Cell:
    """A room's share of the machine, with its folders."""
    cell = Cell(workspace=place / "workspace", home=place / "home", uid=uid_in(isolation))
    for folder in (cell.workspace, cell.home):
        folder.mkdir(mode=0o700)
        if cell.uid is not None:
            os.chown(folder, cell.uid, cell.uid)
    cell = replace(cell, **more)  # type: ignore[arg-type]
    furnish(cell)
    return cell


async def ask(isolation: Isolation, cell: Cell, script: str, *argv: str) -> list[str]:
    """What a shell script says inside."""
    command = enclose(isolation, cell, ["/bin/sh", "-c", script, "sh", *argv])
    said, words, code = await ladder.run(command, cwd=cell.workspace, uid=cell.uid)
    assert code == 0, words
    return said


# ── what is inside ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("isolation", EVERY)
async def test_the_workspace_is_where_it_is_and_can_be_written(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation)

    assert await ask(isolation, cell, "pwd; echo made > file && cat file") == [str(cell.workspace), "made"]
    assert (cell.workspace / "file").read_text(encoding="utf-8") == "made\n"


@pytest.mark.parametrize("isolation", HELD)
async def test_mounts_are_read_only_or_not_for_every_program(isolation: Isolation, place: Path) -> None:
    for name in ("ro", "rw", "unlisted"):
        (place / name).mkdir(mode=0o777)
        (place / name).chmod(0o777)
        (place / name / "file").write_text(name, encoding="utf-8")
        (place / name / "file").chmod(0o666)
    cell = make_cell(place, isolation, mounts=(Mount(place / "ro"), Mount(place / "rw", "rw")))
    script = "cd $1; for name in ro rw unlisted; do cat $name/file; echo changed 2>/dev/null > $name/file; done; true"

    said = await ask(isolation, cell, script, str(place))
    assert "".join(said) == "rorw"
    assert [(place / name / "file").read_text(encoding="utf-8") for name in ("ro", "rw", "unlisted")] == [
        "ro",
        "changed\n",
        "unlisted",
    ]


@pytest.mark.parametrize("isolation", HELD)
async def test_a_link_in_the_place_of_a_mount_opens_nothing(isolation: Isolation, place: Path) -> None:
    """Whoever could change a folder on the way to it chose what it leads to: now no run begins."""
    (place / "wide" / "part").mkdir(parents=True, mode=0o755)
    (place / "data").mkdir(mode=0o755)
    (place / "data" / "secret").write_text("of the daemon", encoding="utf-8")
    mount = Mount(place / "wide" / "part", "ro", place / "wide" / "part")
    cell = make_cell(place, isolation, mounts=(mount,), marks=marked((mount,)))
    script = 'cat "$1/secret" || echo nothing'

    assert await ask(isolation, cell, script, str(mount.path)) == ["nothing"]

    (place / "wide" / "part").rename(place / "wide" / "gone")
    (place / "wide" / "part").symlink_to(place / "data")

    said, words, code = await ladder.run(
        enclose(isolation, cell, ["/bin/sh", "-c", script, "sh", str(mount.path)]), cwd=cell.workspace, uid=cell.uid
    )

    assert (said, code) == ([], FAILED), words
    assert "is not the folder any more" in words
    with pytest.raises(NotADirectoryError):
        marked((mount,))


@pytest.mark.parametrize("isolation", HELD)
async def test_a_mount_is_what_it_was_when_the_settings_were_read(isolation: Isolation, place: Path) -> None:
    for name in ("then", "now"):
        (place / name).mkdir(mode=0o755)
        (place / name / "which").write_text(name, encoding="utf-8")
    (place / "way").symlink_to(place / "now")
    mount = Mount(place / "way", "ro", place / "then")
    cell = make_cell(place, isolation, mounts=(mount,), marks=marked((mount,)))
    script = "cat $1/which || true" if isolation is Isolation.STRICT else "cat $2/which; cat $1/which || true"

    assert await ask(isolation, cell, script, str(mount.path), str(mount.source)) == ["then"]


@pytest.mark.parametrize("isolation", HELD)
async def test_a_workspace_is_what_it_was_when_the_settings_were_read(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation)
    (place / "way").symlink_to(cell.workspace.parent)
    way = place / "way" / cell.workspace.name
    cell = replace(cell, workspace=way, marks=marked((Mount(way, "rw", cell.workspace),)))

    assert await ask(isolation, cell, "pwd -P > here; basename $(cat here)") == [way.name]

    (place / "other" / way.name).mkdir(parents=True, mode=0o777)
    (place / "way").unlink()
    (place / "way").symlink_to(place / "other")
    command = enclose(isolation, cell, ["/bin/sh", "-c", "touch here"])
    said, errors, code = await ladder.run(command, cwd=place, uid=cell.uid)

    assert (said, code, list((place / "other" / way.name).iterdir())) == ([], FAILED, []), errors
    assert "is not the folder any more" in errors


@pytest.mark.parametrize("isolation", EVERY)
async def test_a_program_inside_does_not_speak_in_the_name_of_another(isolation: Isolation, place: Path) -> None:
    """Of the same user, so that it could be opened if it were a pipe."""
    script = "(sh -c 'echo forged > /proc/$PPID/fd/1' 2> said; true); cat said"

    [said] = await ask(isolation, make_cell(place, isolation), script)
    assert said.startswith("sh: 1: cannot create /proc/")


@pytest.mark.parametrize("isolation", HELD)
async def test_no_descriptor_of_another_program_is_taken(isolation: Isolation, place: Path) -> None:
    script = "import ctypes, os; print(ctypes.CDLL(None).syscall(438, os.pidfd_open(os.getppid()), 1, 0))"

    assert await ask(isolation, make_cell(place, isolation), f"python3 -c '{script}'; true") == ["-1"]


@pytest.mark.parametrize("isolation", HELD)
async def test_the_tools_under_usr_work(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation)
    script = "git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m c && git log --format=%s"

    assert await ask(isolation, cell, script) == ["c"]
    assert await ask(isolation, cell, "python3 -c 'print(6 * 7)'") == ["42"]


@pytest.mark.parametrize("isolation", EVERY)
async def test_the_time_zone_is_where_programs_look_for_it(isolation: Isolation, place: Path) -> None:
    """A file in place of the link makes some look through all zones, at every start."""
    assert await ask(isolation, make_cell(place, isolation), "readlink -f /etc/localtime") == [TIME_ZONE]


@pytest.mark.parametrize("isolation", EVERY)
async def test_limits_hold_inside(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation, limits=RunLimits(file_size=1, processes=100, niceness=7))
    script = "nice; ulimit -c; dd if=/dev/zero of=big bs=65536 count=64 2>/dev/null; stat -c %s big"

    assert await ask(isolation, cell, script) == [str(min(19, os.nice(0) + 7)), "0", str(2**20)]


@pytest.mark.parametrize("isolation", [param for param in HELD if param.id != "landlock"])
async def test_forks_end_at_twice_the_limit_and_other_rooms_do_not_count(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation, limits=RunLimits(processes=20))
    program = """
import os, time
made = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except BlockingIOError:
    pass
print(made < 50, made > 30)
os.kill(0, 9) if False else None
"""

    command = enclose(isolation, cell, ["/usr/bin/python3", "-c", program])
    said, _, _ = await ladder.run(command, cwd=cell.workspace, uid=cell.uid)
    assert said == ["True True"]


@pytest.mark.parametrize("isolation", EVERY)
async def test_an_interrupt_reaches_the_command_and_its_end_ends_everything(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation)
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    command = enclose(isolation, cell, ["/bin/sh", "-c", script])
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(command, env=ENVIRONMENT, cwd=cell.workspace, uid=cell.uid, stop_fd=STOP_FD)
        group.create_task(tree.serve())
        assert await first_line(tree) == b"ready"
        tree.interrupt()

        assert await first_line(tree) == b"caught"
        assert await tree.wait_gone(PATIENCE)
    assert tree.exit_code == 3


@pytest.mark.parametrize("isolation", EVERY)
async def test_a_command_that_is_not_there_is_a_sentence(isolation: Isolation, place: Path) -> None:
    cell = make_cell(place, isolation)
    command = enclose(isolation, cell, ["/no/such/command"])
    said, words, code = await ladder.run(command, cwd=cell.workspace, uid=cell.uid)

    assert (said, code) == ([], 126)
    assert words == "sandbox: /no/such/command: [Errno 2] No such file or directory: '/no/such/command'"


def torture_in(word: str) -> list[int]:
    """The processes of the tree; not the shell that began it, nor what keeps that in."""
    return [pid for pid, argv in argvs(word) if argv[0] == word or (argv[0].endswith("python3") and argv[1] == "-ISE")]


@pytest.mark.parametrize("isolation", EVERY)
async def test_a_torture_tree_is_swept_from_a_run_that_stays(isolation: Isolation, place: Path) -> None:
    word = mark()
    shutil.copy(torture(word)[-2], place / "torture.py")
    (place / "torture.py").chmod(0o644)
    cell = make_cell(place, isolation, programs=(place / "torture.py",))
    script = """
        echo up; read line
        "$@" > grown &
        while ! grep -q ready grown 2>/dev/null; do sleep 0.05; done
        echo grown; read line; echo "$line"
    """
    grow = ["/usr/bin/python3", "-ISE", str(place / "torture.py"), word]
    command = enclose(isolation, cell, ["/bin/sh", "-c", script, "sh", *grow])
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(command, env=ENVIRONMENT, cwd=cell.workspace, uid=cell.uid, stop_fd=STOP_FD)
        group.create_task(tree.serve())
        lines = tree.lines()
        assert await anext(lines) == b"up"
        assert await tree.keep()
        await tree.write(b"go")
        assert await anext(lines) == b"grown"
        grown = torture_in(word)

        assert await tree.sweep()
        left = torture_in(word)
        await tree.write(b"still here")
        assert await anext(lines) == b"still here"
        tree.end()
        assert await tree.wait_gone(PATIENCE)
        await lines.aclose()
    assert len(grown) > 60
    assert left == []
    assert living(word) == []
    assert zombies() == []


# ── the ladder ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("isolation", EVERY)
async def test_each_way_is_found_by_trying_it(isolation: Isolation, place: Path) -> None:
    choice = await ladder.choose(str(isolation), Isolation.NONE, folder=place, uid=UID)

    assert choice.isolation is isolation
    assert choice.tried == (ladder.Tried(isolation=isolation, works=True),)
    assert os.listdir(place) == []  # noqa: PTH208


async def test_without_bubblewrap_the_next_best_is_taken_or_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    choice = await ladder.choose("auto", Isolation.NONE, folder=place, uid=UID)
    with pytest.raises(IsolationRefused) as caught:
        await ladder.choose("auto", Isolation.STRICT, folder=place, uid=UID)

    assert choice.isolation is (Isolation.USERS if ROOT else Isolation.LANDLOCK)
    assert choice.tried[0].why == "bubblewrap is not installed"
    assert str(caught.value).splitlines() == [
        "isolation: auto with isolation_minimum: strict cannot be had here, so nothing is run.",
        "  strict: bubblewrap is not installed",
        "    apt-get install bubblewrap (Fedora: dnf install bubblewrap)",
        "  Or accept less: isolation_minimum: users in config.yaml."
        if ROOT
        else "  Or accept less, if it is only for yourself: isolation_minimum: landlock in config.yaml.",
    ]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_a_room_cannot_bring_its_own_sandbox(place: Path) -> None:
    cell = make_cell(place, Isolation.STRICT)
    planted = cell.workspace / "bwrap"
    planted.write_text("#!/bin/sh\necho planted\n")
    planted.chmod(0o755)
    argv = enclose(Isolation.STRICT, cell, ["/bin/sh", "-c", "echo kept in"])
    tree = await Tree.start(argv, env={**ENVIRONMENT, "PATH": str(cell.workspace)}, cwd=cell.workspace, uid=cell.uid)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(tree.serve())
        lines = [line async for line in tree.lines()]

    assert lines == [b"kept in"]


async def test_a_way_that_lets_something_through_does_not_work() -> None:
    assert ladder._verdict(Isolation.STRICT, ["reads True", "writes False", "works True"]).startswith("a file outside")
    assert ladder._verdict(Isolation.STRICT, ["reads False", "writes False"]).startswith("nothing can be written")
    assert ladder._verdict(Isolation.NONE, ["reads True", "writes True", "works True"]) == ""


MASKED = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted"
NO_NAMESPACE = "bwrap: No permissions to create new namespace, likely because the kernel does not allow …"
NO_UID_MAP = "bwrap: setting up uid map: Permission denied"
CAPABLE = "bwrap: Unexpected capabilities but not setuid, old file caps config?"


@pytest.mark.parametrize(
    ("why", "engine", "parts"),
    [
        pytest.param(NO_NAMESPACE, "", ["sysctl -w kernel.unprivileged_userns_clone=1"], id="no user namespaces"),
        pytest.param(NO_NAMESPACE, "docker", ["seccomp=unconfined", "systempaths=unconfined"], id="Docker"),
        pytest.param(MASKED, "docker", ["apparmor=unconfined", "isolation_minimum: users"], id="Docker, masked /proc"),
        pytest.param(
            "bwrap: Can't set hostname to room: Operation not permitted", "podman", ["unmask=ALL"], id="Podman"
        ),
        pytest.param(MASKED, "", ["ProtectKernelTunables="], id="a unit of one's own"),
        pytest.param(NO_UID_MAP, "", [f"{ladder.INTO_FORCE}"], id="Ubuntu 24.04"),
        pytest.param(NO_UID_MAP, "docker", ["apparmor=unconfined does not help", ladder.SAME_PROFILE], id="Ubuntu, in"),
        pytest.param(CAPABLE, "podman", ["no --cap-add"], id="added capabilities"),
    ],
)
def test_what_is_known_to_be_in_the_way_comes_with_what_to_do(why: str, engine: str, parts: list[str]) -> None:
    fix = " ".join(ladder._fix(Isolation.STRICT, why, engine))

    assert [part for part in parts if part not in fix] == []


def test_whose_container_it_is_follows_from_what_engines_leave_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "DOCKERS", tmp_path / "dockerenv")
    monkeypatch.setattr(ladder, "PODMANS", tmp_path / "containerenv")
    monkeypatch.delenv("container", raising=False)
    found = [ladder.engine()]
    monkeypatch.setenv("container", "podman")
    found.append(ladder.engine())
    monkeypatch.delenv("container")
    (tmp_path / "containerenv").touch()
    found.append(ladder.engine())
    (tmp_path / "dockerenv").touch()

    assert [*found, ladder.engine()] == ["", "podman", "podman", "docker"]


@pytest.mark.parametrize("beside", [True, False], ids=["a checkout or a release", "a package alone"])
def test_the_profile_for_apparmor_is_named_where_it_is(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    profile = tmp_path / "deploy" / ladder.PROFILE
    if beside:
        profile.parent.mkdir()
        profile.touch()
    line = ladder._fix(Isolation.STRICT, NO_UID_MAP, "")[-1]

    copied = f"cp {profile} /etc/apparmor.d/bwrap" if beside else ladder.SAME_PROFILE
    assert line == f"  {copied} && apparmor_parser -r /etc/apparmor.d/bwrap"


def test_the_profile_that_is_typed_says_what_the_shipped_one_says(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "deploy" / ladder.PROFILE).read_text(encoding="utf-8")
    command = ladder.SAME_PROFILE.replace("/etc/apparmor.d/bwrap", str(tmp_path / "bwrap"))
    subprocess.run(["sh", "-c", command], check=True, timeout=10)
    rules = [line for line in shipped.splitlines() if not line.startswith("#") and "local/bwrap" not in line]

    assert (tmp_path / "bwrap").read_text(encoding="utf-8").split() == " ".join(rules).split()


@pytest.mark.skipif(not ROOT, reason="only root's rooms are users of their own")
@pytest.mark.parametrize("isolation", [Isolation.STRICT, Isolation.USERS])
@pytest.mark.parametrize("what", ["data_dir", "workspaces", "program"])
async def test_what_the_rooms_users_cannot_get_to_is_named(isolation: Isolation, what: str, place: Path) -> None:
    closed = place / "it's closed"
    closed.mkdir(mode=0o700)
    (closed / "program").touch(mode=0o755)
    (closed / "data").mkdir(mode=0o711)
    folder = closed / "data" if what == "data_dir" else place
    reach = {"data_dir": [], "workspaces": [closed / "not yet"], "program": [closed / "program"]}[what]
    tried = await ladder.attempt(isolation, folder=folder, uid=UID, reach=reach)
    closed.chmod(0o711)

    assert (tried.works, tried.why) == (False, f"{closed} is closed to the users of the rooms")
    assert tried.fix[-1] == f"or let them through: chmod o+x {shlex.quote(str(closed))}"
    assert (await ladder.attempt(isolation, folder=folder, uid=UID, reach=reach)).works


@pytest.mark.skipif(not ROOT, reason="only root's rooms are users of their own")
async def test_a_program_that_only_we_can_read_is_named(place: Path) -> None:
    (place / "program").touch(mode=0o700)
    tried = await ladder.attempt(Isolation.USERS, folder=place, uid=UID, reach=[place / "program"])

    assert tried.fix[-1] == f"or let them through: chmod o+r {place}/program"


def test_the_identity_of_a_room_names_nobody_of_this_machine(place: Path) -> None:
    cell = make_cell(place, Isolation.NONE)
    furnish(cell)
    passwd = (place / "home.etc" / "passwd").read_text(encoding="utf-8")

    assert [line.split(":")[0] for line in passwd.splitlines()] == ["root", "agent", "nobody"]
    assert f":{os.geteuid()}:" in passwd


def test_the_first_program_inside_needs_nothing_of_ours() -> None:
    program = (
        f"import sys; sys.path.append({str(Path(landlock.__file__).parents[1])!r}); import inside.main; "
        "print([name for name in sys.modules if name.startswith('aiagentchat')])"
    )

    assert subprocess.check_output([sys.executable, "-ISE", "-c", program], text=True) == "[]\n"
