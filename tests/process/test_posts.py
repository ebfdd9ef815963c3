"""Shims that wait for their job, with real processes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from aiagentchat.core.ids import RunId
from aiagentchat.process.leftovers import MARKER
from aiagentchat.process.posts import MAX_JOB_BYTES, Post, Posts
from aiagentchat.process.tree import Tree
from tests.process.trees import ENVIRONMENT, PATIENCE, mark, output, shell, zombies


async def until(condition: Callable[[], object]) -> None:
    """What real processes do is seen by looking."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)


@asynccontextmanager
async def served(posts: Posts) -> AsyncIterator[None]:
    """While the block runs, and with one ready at its beginning."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        serving = group.create_task(posts.serve())
        await until(lambda: posts.is_ready)
        yield
        serving.cancel()


async def said_by(run: RunId, posts: Posts, folder: Path, command: str = f"echo ${MARKER}") -> list[str]:
    """What a run says that takes its shim from `posts`."""
    post = posts.take(run)
    tree = await Tree.start(shell(command), env={**ENVIRONMENT, MARKER: run}, cwd=folder, mark=MARKER, post=post)
    async with asyncio.TaskGroup() as group:
        group.create_task(tree.serve())
        lines = await output(tree)
    return [line.decode() for line in lines if isinstance(line, bytes)]


def shim(posts: Posts) -> psutil.Process:
    """The one that is ready."""
    assert posts._ready is not None
    return psutil.Process(posts._ready[1].process.pid)


async def test_the_one_that_is_ready_becomes_the_shim_of_the_run_and_another_one_follows(tmp_path: Path) -> None:
    posts = Posts(refill=0)
    async with served(posts):
        waiting = shim(posts)
        run = posts.promise()
        carried = waiting.environ()
        said = await said_by(run, posts, tmp_path, f"echo ${MARKER} $PPID; pwd")
        await until(lambda: posts.is_ready)
        following = posts.promise()

    assert carried == {MARKER: run}
    assert said == [f"{run} {waiting.pid}", str(tmp_path)]
    assert following != run
    assert not waiting.is_running()
    assert zombies() == []


async def test_what_is_promised_is_one_runs_alone() -> None:
    posts = Posts()
    async with served(posts):
        first, second = posts.promise(), posts.promise()
        post = posts.take(second)
        promised = posts.take(first)
        assert promised is not None
        promised.end()
        await promised.let_go()

    assert first != second
    assert post is None


async def test_a_run_that_never_comes_keeps_no_shim() -> None:
    posts = Posts(refill=0)
    async with served(posts):
        forsaken = shim(posts)
        run = posts.promise()
        await until(lambda: posts._ready is not None and posts._ready[0] != run)
        alive = forsaken.is_running()

    assert not alive
    assert posts.take(run) is None
    assert zombies() == []


async def test_without_any_a_run_starts_its_own(tmp_path: Path) -> None:
    posts = Posts()
    run = posts.promise()

    assert await said_by(run, posts, tmp_path) == [run]


async def test_one_that_was_killed_is_not_used(tmp_path: Path) -> None:
    posts = Posts()
    async with served(posts):
        run = posts.promise()
        dead = posts._ready
        assert dead is not None
        shim(posts).kill()
        await until(lambda: not dead[1].lives)

        assert await said_by(run, posts, tmp_path) == [run]
    assert zombies() == []


async def test_one_that_has_died_cannot_be_given_anything() -> None:
    async with asyncio.timeout(PATIENCE):
        post = await Post.start({})
        psutil.Process(post.process.pid).kill()
        await until(lambda: not post.lives)
        with pytest.raises(BrokenPipeError):
            post.give({})
        post.end()
        await post.let_go()
        with pytest.raises(BrokenPipeError):
            post.give({})

    assert zombies() == []


async def test_a_long_command_fits_and_a_longer_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async def start(size: int) -> list[bytes]:
        env = {**ENVIRONMENT, "A": "x" * (size // 2), "B": "x" * (size // 2)}
        tree = await Tree.start(shell("echo ${#A}", word := mark()), env=env, cwd=tmp_path)
        assert word
        async with asyncio.TaskGroup() as group:
            group.create_task(tree.serve())
            return [line for line in await output(tree) if isinstance(line, bytes)]

    said = await start(200_000)
    open_files = psutil.Process().num_fds()
    with pytest.raises(OSError, match="are taken"):
        await start(MAX_JOB_BYTES)

    assert said == [b"100000"]
    assert psutil.Process().num_fds() == open_files
    assert zombies() == []


async def test_the_last_one_ends_with_its_keeper() -> None:
    posts = Posts()
    async with served(posts):
        waiting = shim(posts)

    assert not waiting.is_running()
    assert zombies() == []


async def test_where_none_can_be_started_each_run_tries_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiagentchat.process.posts._PYTHON", "/no/such/python")
    posts = Posts()
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            serving = group.create_task(posts.serve())
            await until(lambda: logs)
            run = posts.promise()
            serving.cancel()

    assert posts.take(run) is None
    assert [line["event"] for line in logs] == ["process.none_ready"]
