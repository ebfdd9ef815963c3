"""The model against the one client that matters: the real CLI."""

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rig.claude import cli_env
from rig.model import Model, model_server
from rig.script import Step, numbered, script
from rig.unprivileged import as_unprivileged

PATIENCE = 60.0
ROOT = Path(__file__).parents[2]


async def _start(cli: Path, model: Model, home: Path, *flags: str) -> asyncio.subprocess.Process:
    flags = ("-p", "--input-format", "text", "--output-format", "stream-json", "--verbose", *flags)
    return await asyncio.create_subprocess_exec(
        *as_unprivileged(),
        str(cli),
        *flags,
        "--setting-sources",
        "",
        cwd=home,
        env=cli_env(home, model.url, CLAUDE_CODE_MAX_RETRIES="2"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**24,
    )


async def _result(cli: Path, model: Model, home: Path, prompt: str, *flags: str) -> Mapping[str, Any]:
    """The last line of a CLI that was asked once."""
    process = await _start(cli, model, home, *flags)
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate(prompt.encode())
    last: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return last


async def test_a_text_arrives(cli: Path, model: Model, workplace: Path) -> None:
    result = await _result(cli, model, workplace, script("hi", Step(text="Grüße, wörtlich 👋", chunk=3)))

    assert (result["is_error"], result["result"]) == (False, "Grüße, wörtlich 👋")


async def test_a_long_text_is_complete(cli: Path, model: Model, workplace: Path) -> None:
    result = await _result(cli, model, workplace, script("go on", Step(big=300_000)))

    assert result["result"] == numbered(300_000)


async def test_thinking_and_usage_arrive(cli: Path, model: Model, workplace: Path) -> None:
    step = Step(thinking="hm", text="well", usage={"output_tokens": 77})

    result = await _result(cli, model, workplace, script("think", step))

    assert (result["result"], result["usage"]["output_tokens"]) == ("well", 77)


async def test_tools_run_and_their_results_come_back(cli: Path, model: Model, workplace: Path) -> None:
    mark = uuid.uuid4().hex
    uses = Step(text="I will.", tool="Bash", input={"command": f"echo {mark} > made.txt", "description": "make it"})

    result = await _result(
        cli, model, workplace, script(f"make {mark}", uses, Step(text="made")), "--allowedTools", "Bash"
    )

    assert (result["result"], result["num_turns"]) == ("made", 2)
    assert (workplace / "made.txt").read_text().strip() == mark
    assert [len(request.asked.results) for request in model.requests(mark)] == [0, 1]


async def test_the_offline_model_uses_a_tool_too(cli: Path, model: Model, workplace: Path) -> None:
    result = await _result(cli, model, workplace, "please write hello.py", "--allowedTools", "Bash")

    assert result["result"] == "Done."
    assert (workplace / "hello.py").read_text() == 'print("Hello from this room!")\n'


async def test_a_text_that_was_cut_off_goes_on(cli: Path, model: Model, workplace: Path) -> None:
    cut = Step(text="half", stop_reason="max_tokens")

    result = await _result(cli, model, workplace, script("go", cut, Step(text="the rest")))

    assert (result["is_error"], result["result"]) == (False, "the rest")


async def test_an_error_is_an_error(cli: Path, model: Model, workplace: Path) -> None:
    result = await _result(cli, model, workplace, script("fail", Step(error=403, message="no entry")))

    assert (result["is_error"], result["api_error_status"]) == (True, 403)


async def test_an_error_may_pass(cli: Path, model: Model, workplace: Path) -> None:
    mark = uuid.uuid4().hex
    step = Step(error=500, times=1, then=Step(text="recovered"))

    result = await _result(cli, model, workplace, script(mark, step))

    assert (result["is_error"], result["result"]) == (False, "recovered")
    assert len(model.requests(mark)) == 2


@pytest.mark.parametrize(
    "step", [Step(text="x", sse_error="overloaded_error"), Step(text="after the drop", drop="mid")]
)
async def test_the_cli_recovers_from_a_broken_stream(cli: Path, model: Model, workplace: Path, step: Step) -> None:
    result = await _result(cli, model, workplace, script("go", step))

    assert (result["is_error"], result["result"]) == (False, step.text)


@pytest.mark.parametrize("where", ["headers", "start", "mid"])
async def test_a_hang_lasts_until_the_client_leaves(cli: Path, model: Model, workplace: Path, where: str) -> None:
    mark = uuid.uuid4().hex
    process = await _start(cli, model, workplace)
    assert process.stdin
    process.stdin.write(script(mark, Step.model_validate({"text": "half and half", "hang": where})).encode())
    process.stdin.close()
    hanging = await model.until_request(mark, state="open")
    process.kill()
    async with asyncio.timeout(PATIENCE):
        await process.communicate()

    assert await model.until_request(mark, state="left") == hanging


async def test_what_the_model_was_told_is_kept() -> None:
    async with model_server() as model, aiohttp.ClientSession() as http:
        body = {"system": [{"type": "text", "text": "You are terse."}], "messages": [{"role": "user", "content": "hi"}]}
        async with http.post(f"{model.url}/v1/messages", json=body) as response:
            answer = await response.json()
        async with http.head(f"{model.url}/api/hello") as response:
            assert response.status == 200
        async with http.get(f"{model.url}/v1/models") as response:
            assert response.status == 404
        [request] = model.requests("hi")
        async with http.get(f"{model.url}/requests", params={"containing": "terse"}) as response:
            told = await response.json()

        assert told == [request.raw]
        assert answer["content"] == [{"type": "text", "text": "A conversation"}]
        assert (request.state, request.system, request.asked.text) == ("answered", "You are terse.", "hi")
        assert len(model.all_requests()) == 3


async def test_a_broken_script_is_answered_with_what_is_wrong() -> None:
    async with model_server() as model, aiohttp.ClientSession() as http:
        body = {"messages": [{"role": "user", "content": '@@stub [{"txet": "hi"}] @@'}]}
        async with http.post(f"{model.url}/v1/messages", json=body) as response:
            answer = await response.json()

        assert response.status == 400
        assert "txet" in answer["error"]["message"]


async def test_waiting_for_a_request_that_never_comes_tells_what_came() -> None:
    async with model_server() as model, aiohttp.ClientSession() as http:
        async with http.post(f"{model.url}/v1/messages", json={"messages": [{"role": "user", "content": "hello"}]}):
            pass

        with pytest.raises(AssertionError, match="hello"):
            await model.until_request("never", timeout=0.05)


async def test_as_a_program_it_prints_its_address_and_ends_when_told() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rig.model", "--port", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as http:
        url = (await process.stdout.readline()).decode().strip()
        async with http.head(url) as response:
            assert response.status == 200
        process.terminate()

        assert await process.wait() == 0
