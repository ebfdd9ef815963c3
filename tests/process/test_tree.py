"""A command, its pipes, and the certainty that nothing of it is left: with real processes."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from aiagentchat.core.isolation import RunLimits
from aiagentchat.process import tree as module
from aiagentchat.process.inside.syscalls import syscall
from aiagentchat.process.lines import TooLong
from aiagentchat.process.tree import Tree
from tests.process.trees import (
    ENVIRONMENT,
    PATIENCE,
    first_line,
    growing,
    living,
    mark,
    output,
    shell,
    torture,
    zombies,
)

ROOT = Path(__file__).resolve().parents[2]
PIDFD_GETFD = 438


@contextmanager
def suspended(tree: Tree) -> Iterator[None]:
    """The shim, stopped for a while."""
    shim = psutil.Process(tree._post.process.pid)
    shim.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            shim.resume()


# ── pipes and codes ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param("true", 0, id="success"),
        pytest.param("exit 7", 7, id="failure"),
        pytest.param("kill -9 $$", -9, id="killed"),
        pytest.param("kill -TERM $$", -15, id="ended"),
    ],
)
async def test_the_exit_code_is_the_commands_own(tmp_path: Path, command: str, code: int) -> None:
    async with growing(shell(command), tmp_path) as tree:
        await tree.gone.wait()

    assert tree.exit_code == code


async def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    async with growing(["/bin/cat"], tmp_path) as tree, aclosing(tree.lines()) as stream:
        written = [await tree.write(line) for line in (b"one", b"", b"three")]
        said = [await anext(stream) for _ in written]

    assert written == [True, True, True]
    assert said == [b"one", b"", b"three"]


async def test_who_writes_to_its_own_stdin_hears_of_it_and_is_spoken_to_all_the_same(tmp_path: Path) -> None:
    """Nobody reads that: what is written must not wait for ever until somebody does."""
    flood = "trap '' PIPE; for n in $(seq 3000); do printf %0200d 0 >&0 || failed=$n; done 2>&-; echo $failed; exec cat"
    async with growing(shell(flood), tmp_path) as tree, aclosing(tree.lines()) as stream:
        refused = await anext(stream)
        written = [await tree.write(line) for line in (b"one", b"x" * 100_000)]
        said = [await anext(stream) for _ in written]

    assert (refused, written, said) == (b"3000", [True, True], [b"one", b"x" * 100_000])


async def test_the_end_of_stdout_is_the_end_of_the_command(tmp_path: Path) -> None:
    async with growing(shell("echo one; echo two; printf three"), tmp_path) as tree:
        said = await output(tree)

        assert said == [b"one", b"two", b"three"]
        assert await tree.wait_gone(PATIENCE)


async def test_what_was_said_last_is_read_also_when_the_command_has_long_ended(tmp_path: Path) -> None:
    # As much as fits into what is read ahead and into the pipe behind it.
    async with growing(shell("seq 1 25000"), tmp_path) as tree, aclosing(tree.lines()) as stream:
        said = [await anext(stream)]
        await tree.gone.wait()
        said += [line async for line in stream]

    assert said == [b"%d" % number for number in range(1, 25_001)]


async def test_a_line_of_50_mb_comes_through_as_one_that_was_too_long(tmp_path: Path) -> None:
    async with growing(shell("head -c 50000000 /dev/zero; echo; echo after"), tmp_path) as tree:
        said = await output(tree)

    assert said == [TooLong(50_000_000), b"after"]


async def test_the_last_words_are_the_end_of_stderr(tmp_path: Path) -> None:
    async with growing(shell("seq 1 200 >&2; head -c 5000 /dev/zero >&2; printf '\\nbad \\377' >&2"), tmp_path) as tree:
        await tree.gone.wait()

    words = tree.last_words.split("\n")
    assert words[-1] == "bad \ufffd"
    assert words[-2] == "200"
    assert len(words) == module.STDERR_LINES


async def test_a_flood_on_stderr_holds_up_nothing(tmp_path: Path) -> None:
    async with growing(shell("seq 1 300000 >&2; echo done"), tmp_path) as tree:
        assert await output(tree) == [b"done"]


async def test_nobody_reads_a_line_for_a_command_that_has_ended(tmp_path: Path) -> None:
    async with growing(shell("exit 0"), tmp_path) as tree:
        await tree.gone.wait()
        written = [await tree.write(b"x" * 100_000) for _ in range(3)]

    assert written[-1] is False


async def test_a_command_that_does_not_read_is_not_waited_for_longer_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.1)
    async with growing(["/bin/sleep", "60"], tmp_path) as tree:
        assert not await tree.write(b"x" * 1_000_000)


async def test_a_command_that_does_not_exist_is_127_and_gone(tmp_path: Path) -> None:
    async with growing(["/no/such/command"], tmp_path) as tree:
        assert await tree.wait_gone(PATIENCE)

    assert tree.exit_code == 127
    assert tree.pid is None


async def test_a_folder_that_does_not_exist_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        await Tree.start(["/bin/true"], env=ENVIRONMENT, cwd=tmp_path / "missing")

    assert psutil.Process().num_fds() == before


async def test_the_command_sees_only_its_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the daemon")
    async with growing(["/usr/bin/env"], tmp_path) as tree:
        said = await output(tree)

    assert sorted(said, key=str) == sorted([f"{name}={value}".encode() for name, value in ENVIRONMENT.items()], key=str)


async def test_the_command_holds_only_its_own_pipes(tmp_path: Path) -> None:
    async with growing(shell("ls /proc/$$/fd"), tmp_path) as tree:
        said = await output(tree)

    assert said == [b"0", b"1", b"2"]


async def test_signals_that_the_shim_ignores_reach_the_command(tmp_path: Path) -> None:
    async with growing(shell("kill -HUP $$; echo survived"), tmp_path) as tree:
        assert await output(tree) == []

    assert tree.exit_code == -1


# ── orders ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_interrupt_reaches_the_main_process(tmp_path: Path) -> None:
    async with growing(
        shell("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.01; done"), tmp_path
    ) as tree:
        async with aclosing(tree.lines()) as stream:
            assert await anext(stream) == b"ready"
            tree.interrupt()
            assert await anext(stream) == b"caught"
        await tree.gone.wait()

    assert tree.exit_code == 3


_BROOD = """
word=$0
start() { "$@" & }
start /bin/sh -c 'exec sleep 61' $word
start setsid /bin/sh -c 'exec sleep 62' $word
(setsid nohup /bin/sh -c 'exec sleep 63' $word >/dev/null 2>&1 &)
start env -i /usr/bin/setsid /bin/sh -c 'exec sleep 64' $word
start setsid /bin/sh -c 'kill -STOP $$; exec sleep 65' $word
echo born
read line
echo "still here: $line"
"""


async def test_a_sweep_ends_everything_but_the_main_process(tmp_path: Path) -> None:
    word = mark()
    async with growing(shell(_BROOD, word), tmp_path) as tree:
        async with aclosing(tree.lines()) as stream:
            assert await anext(stream) == b"born"
            assert await tree.sweep()
            left = [each.pid for each in living(word) if each.ppid() != os.getpid()]
            await tree.write(b"hello")
            said = await anext(stream)
        await tree.gone.wait()

    assert left == [tree.pid]
    assert said == b"still here: hello"
    assert tree.exit_code == 0


async def test_a_sweep_of_nothing_is_proven_too(tmp_path: Path) -> None:
    async with growing(["/bin/cat"], tmp_path) as tree:
        assert await tree.sweep()
        assert await tree.sweep()
        assert await tree.write(b"still here")
        assert await first_line(tree) == b"still here"


async def test_a_sweep_that_nobody_answers_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.1)
    async with growing(["/bin/cat"], tmp_path) as tree:
        await tree.write(b"started")
        await first_line(tree)
        with suspended(tree):
            swept = await tree.sweep()

    assert not swept


async def test_a_tree_that_is_gone_takes_no_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.1)
    async with growing(["/bin/true"], tmp_path) as tree:
        await tree.gone.wait()
        tree.interrupt()
        assert not await tree.sweep()
        tree.end()
        tree.interrupt()


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_tree_that_does_not_want_to_end_is_gone_with_no_survivor_and_no_zombie(tmp_path: Path) -> None:
    survivors: list[int] = []
    for _ in range(20):
        word = mark()
        async with growing(torture(word), tmp_path) as tree:
            assert await first_line(tree) == b"ready"
            grown = len(living(word))
            tree.end()
            assert await tree.wait_gone(5.0)
            survivors += [each.pid for each in living(word)]
        assert grown > 60

    assert survivors == []
    assert zombies() == []


async def test_cancelling_serve_ends_the_tree(tmp_path: Path) -> None:
    word = mark()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(torture(word), env=ENVIRONMENT, cwd=tmp_path)
        serving = group.create_task(tree.serve())
        await first_line(tree)
        serving.cancel()
        await asyncio.wait([serving])

        assert tree.gone.is_set()
        assert living(word) == []
        assert zombies() == []


async def test_a_daemonised_child_that_holds_stdout_keeps_nobody_waiting(tmp_path: Path) -> None:
    word = mark()
    began = time.monotonic()
    async with growing(shell("setsid sleep 66 & echo left", word), tmp_path) as tree:
        said = await output(tree)

        assert said == [b"left"]
        assert tree.gone.is_set() or await tree.wait_gone(PATIENCE)
    assert time.monotonic() - began < 5
    assert living(word) == []


async def test_nobody_else_speaks_in_the_name_of_a_command_or_hears_what_it_is_told(tmp_path: Path) -> None:
    async with growing(["/bin/cat"], tmp_path) as tree:
        assert await tree.sweep()  # from here on its pid is known
        for number in (0, 1):
            with pytest.raises(OSError, match="No such device or address"):
                os.open(f"/proc/{tree.pid}/fd/{number}", os.O_RDWR)
        tree.end()


async def test_a_stranger_that_holds_stdout_keeps_nobody_waiting_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.3)
    async with growing(["/bin/cat"], tmp_path) as tree:
        assert await tree.sweep()  # from here on its pid is known
        assert tree.pid is not None
        process = os.pidfd_open(tree.pid)
        held = [process, *(syscall(PIDFD_GETFD, process, number, 0) for number in (1, 2))]
        tree.end()
        said = await output(tree)
    for descriptor in held:
        os.close(descriptor)

    assert said == []
    assert tree.gone.is_set()


async def test_a_tree_that_nobody_reads_ends_all_the_same(tmp_path: Path) -> None:
    async with growing(shell("yes"), tmp_path) as tree:
        tree.end()

        assert await tree.wait_gone(PATIENCE)


async def test_a_tree_that_the_kernel_does_not_let_go_is_called_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.1)
    tree = await Tree.start(["/bin/sleep", "68"], env=ENVIRONMENT, cwd=tmp_path)
    with suspended(tree), capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            serving = group.create_task(tree.serve())
            group.create_task(_cancel(serving))
        gone = await tree.wait_gone(0)
    async with asyncio.timeout(PATIENCE):
        await tree.serve()

    assert not gone
    assert [line["event"] for line in logs] == ["process.stuck"]
    assert tree.gone.is_set()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


_OWNER = """
import asyncio, sys
from pathlib import Path
from aiagentchat.process.tree import Tree

async def main():
    tree = await Tree.start(sys.argv[2:], env={"PATH": "/usr/bin:/bin"}, cwd=Path(sys.argv[1]))
    async with asyncio.TaskGroup() as group:
        group.create_task(tree.serve())
        async for line in tree.lines():
            print(line.decode(), flush=True)

asyncio.run(main())
"""


async def test_when_its_owner_is_killed_the_tree_ends(tmp_path: Path) -> None:
    word = mark()
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    async with asyncio.timeout(PATIENCE):
        owner = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _OWNER, str(tmp_path), *torture(word)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert owner.stdout is not None
        assert await owner.stdout.readline() == b"ready\n"
        grown = [each for each in living(word) if each.pid != owner.pid]
        owner.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, grown, timeout=10)
        await owner.communicate()

    assert len(grown) > 60
    assert alive == []
    assert living(word) == []


async def test_a_tree_whose_shim_is_killed_ends_by_its_mark(tmp_path: Path) -> None:
    word = mark()
    marked = {**ENVIRONMENT, "MARK": word}
    brood = "setsid sleep 71 & (setsid nohup sleep 72 >/dev/null 2>&1 &) ; echo born; cat"
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            tree = await Tree.start(shell(brood, word), env=marked, cwd=tmp_path, mark="MARK")
            group.create_task(tree.serve())
            await first_line(tree)
            psutil.Process(tree._post.process.pid).kill()
            await tree.gone.wait()
            left = [each.pid for each in psutil.process_iter() if _variable(each, "MARK") == word]

    assert left == []
    assert living(word) == []
    assert [line["event"] for line in logs] == ["process.shim_killed"]


async def test_a_tree_is_not_gone_before_its_shim_is_reaped(tmp_path: Path) -> None:
    word = mark()
    marked = {**ENVIRONMENT, "MARK": word}
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(shell("echo born; cat", word), env=marked, cwd=tmp_path, mark="MARK")
        group.create_task(tree.serve())
        await first_line(tree)
        with suspended(tree):
            tree._post.status.feed_eof()  # as while it dies: its pipes are closed, and its children are still its own
            too_early = await tree.wait_gone(0.2)
            psutil.Process(tree._post.process.pid).kill()
        await tree.gone.wait()

    assert not too_early
    assert living(word) == []


def _variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.Error:
        return None


async def test_thirty_trees_leave_no_descriptor_and_no_zombie(tmp_path: Path) -> None:
    async def one() -> None:
        async with growing(shell("echo hello; echo world >&2; cat >/dev/null & exit 3"), tmp_path) as tree:
            await output(tree)

    await one()  # what the first one opens for good is not counted
    before = psutil.Process().num_fds()
    async with asyncio.TaskGroup() as group:
        for _ in range(15):
            group.create_task(one())
    for _ in range(15):
        await one()

    assert psutil.Process().num_fds() == before
    assert zombies() == []


@pytest.mark.parametrize(
    "garbage", [b"started x\n", b"swept\n", b"\xff\xfe\n", b"exit 99999999999999\n", b"x" * 100_000]
)
async def test_what_others_write_into_the_shims_pipe_breaks_nothing(tmp_path: Path, garbage: bytes) -> None:
    async with growing(["/bin/cat"], tmp_path) as tree:
        await tree.write(b"started")
        await first_line(tree)
        tree._post.status.feed_data(garbage + b"\n")
        assert await tree.sweep()
        tree.end()
        await tree.gone.wait()

    assert tree.pid is not None
    assert tree.exit_code == -9


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limits", "script", "expected"),
    [
        pytest.param(
            RunLimits(memory=64),
            "import time; held = bytearray(200 * 2**20); print('held', flush=True); time.sleep(60)",
            "memory",
            id="memory",
        ),
        pytest.param(
            RunLimits(processes=20),
            "import os, time; [os.fork() or time.sleep(60) for _ in 'x'*40]; print('held', flush=True); time.sleep(9)",
            "processes",
            id="processes",
        ),
    ],
)
async def test_a_limit_that_is_reached_is_told_once_in_a_watch(
    tmp_path: Path, limits: RunLimits, script: str, expected: str
) -> None:
    told: list[tuple[str, int]] = []
    reached = asyncio.Event()

    def note(name: str, value: int) -> None:
        told.append((name, value))
        reached.set()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start([sys.executable, "-ISc", script], env=ENVIRONMENT, cwd=tmp_path, limits=limits)
        tree.on_limit = note
        group.create_task(tree.serve())
        assert await first_line(tree) == b"held"
        quiet = list(told)
        tree.watch()
        await reached.wait()
        assert await tree.sweep()
        tree.end()

    assert quiet == []
    assert [name for name, _ in told] == [expected]
    assert told[0][1] > getattr(limits, expected)


async def test_what_multiplies_is_ended_by_the_shim_itself_and_the_run_goes_on(tmp_path: Path) -> None:
    reached = asyncio.Event()
    bomb = "setsid bash -c 'bomb() { bomb | bomb & }; bomb; sleep 60' 2> /dev/null"
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        command = ["/bin/bash", "-c", f"echo up; read line; {bomb}; echo over; read line; echo more"]
        tree = await Tree.start(command, env=ENVIRONMENT, cwd=tmp_path, limits=RunLimits(processes=100))
        tree.on_limit = lambda *_: reached.set()
        group.create_task(tree.serve())
        async with aclosing(tree.lines()) as stream:
            assert await anext(stream) == b"up"
            assert await tree.keep()
            tree.watch()
            await tree.write(b"go")
            await reached.wait()
            assert await anext(stream) == b"over"  # nobody has ordered a sweep
            await tree.write(b"go")
            assert await anext(stream) == b"more"

    assert tree.exit_code == 0


@pytest.mark.parametrize("stop_fd", range(3, 24))
async def test_the_descriptor_that_a_command_is_promised_may_be_any(tmp_path: Path, stop_fd: int) -> None:
    """Which numbers are free in the daemon, and in the shim, is chance."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        command = ["/bin/bash", "-c", f"head -c 1 <&{stop_fd}"]  # others know no descriptor beyond 9
        tree = await Tree.start(command, env=ENVIRONMENT, cwd=tmp_path, stop_fd=stop_fd)
        group.create_task(tree.serve())
        async with aclosing(tree.lines()) as stream:
            tree.interrupt()
            assert await anext(stream) == b"i"

    assert tree.exit_code == 0


async def test_what_was_there_before_is_the_run_itself(tmp_path: Path) -> None:
    word = mark()
    async with growing(shell("sleep 79 & echo up; read line; sleep 80 & echo more; read line", word), tmp_path) as tree:
        async with aclosing(tree.lines()) as stream:
            assert await anext(stream) == b"up"
            assert await tree.keep()
            await tree.write(b"go")
            assert await anext(stream) == b"more"
            assert await tree.sweep()
        sleeping = [each.cmdline() for each in psutil.Process(tree.pid).children() if each.status() != "zombie"]
        tree.end()

    assert sleeping == [["sleep", "79"]]


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param('until [ "$(nice)" = 19 ]; do sleep 0.02; done', id="processes"),
        pytest.param(
            "setsid sh -c 'until grep -q \"nice 19\" /proc/self/autogroup; do sleep 0.02; done'",
            marks=pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="nobody is grouped here"),
            id="sessions",
        ),
    ],
)
async def test_what_a_turn_starts_comes_last_and_the_run_itself_does_not(tmp_path: Path, behind: str) -> None:
    script = f"echo up; read line; {behind}; cut -d ' ' -f 19 /proc/$$/stat; grep -o 'nice .*' /proc/$$/autogroup"
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(shell(script), env=ENVIRONMENT, cwd=tmp_path, limits=RunLimits())
        group.create_task(tree.serve())
        async with aclosing(tree.lines()) as stream:
            assert await anext(stream) == b"up"
            assert await tree.keep()
            tree.watch()
            await tree.write(b"go")
            said = [line async for line in stream]

    assert said[0] == str(os.nice(0)).encode()
    assert b"nice 19" not in said


def test_without_niceness_nothing_comes_last() -> None:
    assert "behind" in module._options(None, None, RunLimits())
    assert "behind" not in module._options(None, None, RunLimits(niceness=0))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_a_command_becomes_another_user_and_cannot_touch_its_shim() -> None:
    script = "id -u; id -G; kill -9 $PPID 2>/dev/null || echo refused"
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tree = await Tree.start(["/bin/sh", "-c", script], env=ENVIRONMENT, cwd=Path("/"), uid=262_003)
        group.create_task(tree.serve())
        said = await output(tree)

    assert said == [b"262003", b"262003", b"refused"]
    assert tree.exit_code == 0
