"""The node program in `rig/js`: matrix-js-sdk with its crypto, behind two pipes.

It is asked with a line and answers with a line; what it sees it says unasked. Everything is bounded: an answer that
does not come, and an end of the program that nobody wanted, are errors that say what it wrote last.
"""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from rig.setup import ROOT, Node
from rig.unprivileged import clean_env

ANSWER_WITHIN = 30.0
"""Seconds for one answer. Most come within 0.1."""
END_WITHIN = 10.0
"""Seconds for an orderly end, with the keys written to disk."""
LONGEST_LINE = 2**26
"""Bytes of a line: a file travels in one."""

PROGRAM = ROOT / "rig" / "js" / "main.mjs"

Told = Mapping[str, Any]
Tell = Callable[[Told], Awaitable[None]]


class EngineRefused(Exception):
    """It could not do what was asked; the text is the SDK's."""


class EngineSilent(AssertionError):
    """It did not answer in time. What it was asked to do may still happen."""


class EngineDied(Exception):
    """It has ended, and nobody had told it to."""


class JsEngine:
    """Made by `js_engine`. `told` is called with each thing that it says unasked, and with {"ended": …} at its end."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path, told: Tell) -> None:
        self._process = process
        self._errors = errors
        self._told = told
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @property
    def pid(self) -> int:
        """Its process, which leads a group of its own."""
        return self._process.pid

    async def ask(self, what: str, *, timeout: float = ANSWER_WITHIN, **words: object) -> dict[str, Any]:
        """Have it do something, and return what came of it. Raises EngineRefused, EngineSilent, EngineDied."""
        if self._process.returncode is not None:
            raise self._died()
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "do": what, "with": words})
        assert self._process.stdin is not None
        try:
            with suppress(ConnectionError):  # it has ended: `listen` says so to whoever waits
                self._process.stdin.write(f"{line}\n".encode())
                await self._process.stdin.drain()
            async with asyncio.timeout(timeout):
                return dict(await answer)
        except TimeoutError:
            raise EngineSilent(f"no answer to {what} in {timeout:g} s\n{self.last_words()}") from None
        finally:
            del self._waiting[number]

    async def listen(self) -> None:
        """Take in what it says, until it has ended; then whoever still waits for an answer gets EngineDied."""
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            await self._take(json.loads(raw))
        await self._process.wait()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._died())
        await self._told({"ended": self._died()})

    async def end(self) -> None:
        """See that it is gone: by the end of its input, then by force."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), END_WITHIN)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """SIGKILL: what it learned in this life is lost."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self, most: int = 3000) -> str:
        """What it wrote to standard error last."""
        said = self._errors.read_text("utf-8", "replace").strip() if self._errors.exists() else ""
        return said[-most:] or "(it wrote nothing)"

    def _died(self) -> EngineDied:
        return EngineDied(f"the client ended with {self._process.returncode}\n{self.last_words()}")

    async def _take(self, line: Told) -> None:
        if "id" not in line:
            await self._told(line)
            return
        answer = self._waiting.get(line["id"])
        if answer is None or answer.done():  # whoever asked has given up
            return
        if "error" in line:
            answer.set_exception(EngineRefused(line["error"]))
        else:
            answer.set_result(line["result"])


@asynccontextmanager
async def js_engine(node: Node, errors: Path, told: Tell, *, program: Path = PROGRAM) -> AsyncGenerator[JsEngine, None]:
    """A program that nobody has logged in yet. It is gone when the block ends. `errors`: where it may complain."""
    with errors.open("ab") as complaints:
        process = await asyncio.create_subprocess_exec(
            str(node.program),
            str(program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            env=clean_env(AIAGENTCHAT_NODE_MODULES=str(node.modules), HOME=str(errors.parent)),
            limit=LONGEST_LINE,
            start_new_session=True,
        )
    engine = JsEngine(process, errors, told)
    # Not a TaskGroup: it would wrap in a group what a failing test raises in the block.
    listening = asyncio.get_running_loop().create_task(engine.listen())
    try:
        yield engine
    finally:
        await engine.end()
        await asyncio.gather(listening, return_exceptions=True)
