"""The judge of the torture rig finds who survives, who stays a zombie and who is late, and nobody else."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import pytest

from rig.torture import census, init
from rig.torture.census import Judge, Scene, Verdict

ROOT = os.geteuid() == 0
Plant = Callable[..., int]
SHORT = 0.2


@pytest.fixture
def word() -> str:
    return f"word-{uuid.uuid4().hex}"


@pytest.fixture
def plant() -> Iterator[Plant]:
    """Start a shell script, by default below a process that stands for the first one; everything is ended after it."""
    planted: list[subprocess.Popen[bytes]] = []

    def start(
        script: str, *words: str, below: bool = True, env: Mapping[str, str] | None = None, uid: int | None = None
    ) -> int:
        first = [sys.executable, "-ISE", str(init.__file__)] if below else []
        process = subprocess.Popen(
            [*first, "/bin/sh", "-c", f"{script}\necho planted\nread line", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            user=uid,
        )
        planted.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"planted\n"
        return process.pid

    yield start
    for process in planted:
        for each in census.below(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each.pid, 9)
        process.kill()
        process.communicate()


async def judge(scene: Scene, *, within: float = SHORT, after: float = SHORT) -> Verdict:
    """Of an end that only the shell at the top may outlive."""
    shell = min(census.children(scene.roots[0]), key=lambda each: each.born)
    return await Judge(scene=scene, spared={shell.identity}, within=within, survives_after=after).verdict()


async def test_where_nobody_is_left_nothing_is_found(plant: Plant, word: str) -> None:
    root = plant("(setsid sleep 0.01 >&2 &)", word)
    verdict = await judge(Scene((root,), (word,)), within=5)

    assert (verdict.survivors, verdict.zombies, verdict.is_late) == ((), (), False)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("sleep 61 >&2 &", id="a child"),
        pytest.param("(setsid sleep 62 >&2 &)", id="a daemon"),
        pytest.param("(env -i setsid /bin/sleep 63 >&2 &)", id="one without environment"),
        pytest.param("(setsid sh -c 'kill -STOP $$' >&2 &)", id="one that is stopped"),
    ],
)
async def test_who_survives_is_found(plant: Plant, word: str, script: str) -> None:
    root = plant(script, word)
    verdict = await judge(Scene((root,), (word,)))

    assert len(verdict.survivors) == 1
    assert verdict.is_late


@pytest.mark.parametrize(
    "sign", ["argv", "environment", pytest.param("user", marks=pytest.mark.skipif(not ROOT, reason="needs root"))]
)
async def test_who_is_not_below_is_found_by_what_it_carries(plant: Plant, word: str, sign: str) -> None:
    root = plant(":")
    uid = 700_000 + os.getpid()
    match sign:
        case "argv":
            elsewhere = plant(":", word, below=False)
        case "environment":
            elsewhere = plant(":", below=False, env={"WORD": word})
        case _:
            elsewhere = plant(":", below=False, uid=uid)
    verdict = await judge(Scene((root,), (word,), uid if sign == "user" else None))

    assert [survivor.split()[0] for survivor in verdict.survivors] == [str(elsewhere)]


_NEVER_ASKS = """import os, time
os.fork() or os._exit(0)
print("planted", flush=True)
time.sleep(67)"""


async def test_who_never_asks_after_its_child_keeps_a_zombie(plant: Plant, word: str) -> None:
    root = plant(f"exec {sys.executable} -ISc '{_NEVER_ASKS}'", word)
    verdict = await judge(Scene((root,), (word,)))

    assert (verdict.survivors, len(verdict.zombies)) == ((), 1)
    assert "zombie" in verdict.zombies[0]


async def test_who_ends_after_the_deadline_is_late_and_no_survivor(plant: Plant, word: str) -> None:
    root = plant("(setsid sleep 0.6 >&2 &)", word)
    verdict = await judge(Scene((root,), (word,)), after=10)

    assert verdict.survivors == ()
    assert verdict.is_late
    assert verdict.seconds > SHORT


async def test_somebody_else_is_nobody_of_ours(plant: Plant, word: str) -> None:
    root = plant(":", word)
    plant("sleep 65 >&2 &", "another word")

    assert (await judge(Scene((root,), (word,)))).survivors == ()


async def test_a_number_that_is_used_again_is_another_process(plant: Plant) -> None:
    root = plant(":")
    [seen] = census.children(root)

    assert Scene((root,)).left({seen.identity}) == []
    assert Scene((root,)).left({(seen.pid, seen.born - 1)}) == [seen]
    assert census.look_at(2**22 + 1) is None


# ── the stand-in for the first process ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("how", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_it_ends_as_the_command_did_when_nobody_is_left(how: str, code: int) -> None:
    script = f"(setsid sh -c 'sleep 0.2; echo last' &) ; {how}"
    done = subprocess.run(
        [sys.executable, "-ISE", str(init.__file__), "/bin/sh", "-c", script],
        check=False,
        capture_output=True,
        timeout=20,
    )

    assert (done.returncode, done.stdout) == (code, b"last\n")


def test_it_ends_everything_when_whoever_started_it_is_gone(word: str) -> None:
    tree = f"{sys.executable} -ISE {init.__file__} /bin/sh -c '(setsid sleep 66 &); echo up; read line' {word}"
    with subprocess.Popen(["/bin/sh", "-c", f"{tree}; :"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        there = len(list(census.marked([word])))
        parent.kill()
        rest = parent.stdout.read()  # until nobody holds it any more

    assert there >= 2
    assert rest == b""
