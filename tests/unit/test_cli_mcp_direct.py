"""`cchat mcp` without a gateway: every tool, by somebody's own account, and what is said when one does not work."""

import asyncio
import json
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from aiagentchat.cli.exchange import mcp_direct
from aiagentchat.cli.exchange.direct import Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.logins import Login, keep, login_file
from aiagentchat.cli.exchange.mcp import AUDIENCE, login_of, serve
from aiagentchat.cli.exchange.mcp_direct import AT_ONCE, DirectExchange, Session, in_thread
from aiagentchat.cli.exchange.places import AtGateway, Way, find
from aiagentchat.cli.exchange.wire import place
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, Caller, MessageState
from aiagentchat.core.ids import CallerName, MessageId, RoomId
from aiagentchat.core.instances import INSTANCE
from aiagentchat.core.meta import META_KEY, Meta, MetaKind, read_meta
from aiagentchat.exchange.tools import offered
from rig.unprivileged import clean_env
from tests.fakes.plain_homeserver import PlainHomeserver

ME, BOT = "@me:hs", "@bot:hs"
BOX = f"{BOT}/box"
DEN, ATTIC = "!den:hs", "!attic:hs"
CALLER = Caller(name=CallerName(ME), everywhere=EVERYTHING)


@dataclass(slots=True)
class Stage:
    """A session in a folder, and the homeserver that it asks."""

    folder: Path
    homeserver: PlainHomeserver = field(default_factory=lambda: PlainHomeserver(ME, DEN))
    exchange: DirectExchange = field(init=False)
    session: Session = field(init=False)
    on_ask: Callable[[], None] = field(default=lambda: None)
    """Called whenever somebody waits for an answer."""

    def __post_init__(self) -> None:
        self.homeserver.names[DEN] = "den"
        self.exchange = DirectExchange(self._direct)
        self.session = Session(self.exchange, ME, self.folder)

    def _direct(self, _: float) -> Direct:
        seconds = count()

        def clock() -> float:
            self.on_ask()
            return float(next(seconds))

        return Direct(self.homeserver, ME, clock=clock, by_agent=True)  # type: ignore[arg-type]

    async def use(self, name: str, /, **given: Any) -> str:
        """What the tool tells."""
        text, failed = await self.tried(name, **given)
        assert not failed, text
        return text

    async def fail(self, name: str, /, **given: Any) -> str:
        """Why it does not work."""
        text, failed = await self.tried(name, **given)
        assert failed, text
        return text

    async def tried(self, name: str, /, **given: Any) -> tuple[str, bool]:
        """What it tells, and whether it has failed."""
        result = await self.session.call(name, given)
        [content] = result.content
        assert isinstance(content, TextContent)
        return content.text, result.isError

    def meta(self) -> Meta:
        """Of what was said last."""
        meta = read_meta(self.homeserver.rooms[DEN][-1]["content"])
        assert isinstance(meta, Meta)
        return meta


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


# ── each tool ──


async def test_what_is_said_has_the_meta_of_a_program_and_begins_nothing(stage: Stage) -> None:
    told = await stage.use("send", text="The build is green.")
    meta = stage.meta()

    assert told == f"Sent to den: id={meta.id}, sent."
    assert (meta.kind, meta.to, meta.hop) == (MetaKind.MESSAGE, None, 0)


async def test_markdown_is_shown_and_nobody_is_rung_who_is_not_meant(stage: Stage) -> None:
    await stage.use("send", text="**Green**, @room, says @eve:hs.", to=BOX)
    content = stage.homeserver.rooms[DEN][-1]["content"]

    assert "<strong>Green</strong>" in content["formatted_body"]
    assert "@room" not in content["body"]
    assert content["m.mentions"] == {"user_ids": [BOT]}


async def test_the_same_words_twice_are_two_messages(stage: Stage) -> None:
    await stage.use("send", text="Again.")
    await stage.use("send", text="Again.")

    assert len(stage.homeserver.rooms[DEN]) == 2


async def test_what_answers_says_what_it_answers(stage: Stage) -> None:
    await stage.use("send", text="It is.", to=BOX, in_reply_to="m7")
    meta = stage.meta()

    assert (meta.kind, str(meta.to), meta.in_reply_to) == (MetaKind.ANSWER, BOX, "m7")


async def test_who_asks_gets_the_answer(stage: Stage) -> None:
    def answer() -> None:
        if len(stage.homeserver.rooms[DEN]) == 1:
            meta = {"version": 1, "id": "a1", "kind": "answer", "in_reply_to": stage.meta().id}
            stage.homeserver.say(DEN, BOT, {"body": "It is dry.", META_KEY: meta})

    stage.on_ask = answer

    assert (await stage.use("ask", text="Is it dry?", to=BOX)).endswith("\n| It is dry.")


async def test_who_asks_in_vain_is_told_how_far_it_is(stage: Stage) -> None:
    stage.on_ask = lambda: stage.homeserver.read_to(DEN, BOT, "$0")

    assert "no answer within 3 s; the other side works on it" in await stage.use("ask", text="?", to=BOX, seconds=3)


async def test_a_room_is_read_page_by_page_and_none_is_left_out(stage: Stage) -> None:
    for number in range(5):
        stage.homeserver.say(DEN, BOT, {"body": f"number {number}"})
    told, found = await stage.use("read", limit=2), list[str]()
    for _ in range(3):
        found = [*re.findall(r"^\| (.*)$", told, re.MULTILINE), *found]
        before = re.search(r"before=(\d+)", told)
        told = await stage.use("read", limit=2, before=int(before[1])) if before else ""

    assert found == [f"number {number}" for number in range(5)]
    assert told == ""


async def test_an_answer_that_is_cut_goes_on_where_it_was_cut(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiagentchat.exchange.tool_words.MOST_ANSWER", 60)
    for number in range(3):
        stage.homeserver.say(DEN, BOT, {"body": f"number {number}"})
    told = await stage.use("read")
    before = re.search(r"before=(\d+)", told)
    assert before
    older = await stage.use("read", before=int(before[1]))

    assert "| number 2" in told
    assert "| number 1" in older
    assert "| number 2" not in older


async def test_a_place_that_nobody_has_named_is_refused(stage: Stage) -> None:
    for number in range(2):
        stage.homeserver.say(DEN, BOT, {"body": f"number {number}"})
    before = re.search(r"before=(\d+)", await stage.use("read", limit=1))
    stage.homeserver.rooms[ATTIC] = []
    assert before

    assert (await stage.fail("read", room=DEN, before=77)).startswith("Refused (invalid). before: this session has not")
    assert (await stage.fail("read", room=ATTIC, before=int(before[1]))).startswith("Refused (invalid).")


async def test_places_are_forgotten_at_last(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_direct, "MOST_PLACES", 2)
    for number in range(4):
        stage.homeserver.say(DEN, BOT, {"body": f"number {number}"})
    await stage.use("read")

    assert "Refused (invalid)" in await stage.fail("read", before=1)
    assert "| number 0" in await stage.use("read", before=5 - 1)


async def test_what_was_said_is_looked_for_in_one_room(stage: Stage) -> None:
    meta = {"version": 1, "id": "q1", "kind": "question", "instance": "box", "to": ME}
    stage.homeserver.say(DEN, BOT, {"body": "the kettle boils", META_KEY: meta})
    stage.homeserver.say(DEN, BOT, {"body": "the tap drips"})

    told = await stage.use("history", words="kettle", kind="question", sender=BOT, since="2020-01-01")
    assert f"{BOT} (calls itself box) question id=q1 to={ME}\n| the kettle boils" in told
    assert "drips" not in told
    stage.homeserver.rooms[ATTIC] = []
    told = await stage.fail("history", words="kettle")
    assert told == "Refused (invalid). Without a gateway one room is read: say which `room`."
    assert "kettle" in await stage.use("history", words="kettle", room="den")


async def test_who_is_there_is_listed_and_may_be_called_by_name(stage: Stage) -> None:
    content = {"kind": "daemon", "status": "online", "version": 1, "host": "box.lan", "skills": ["python"]}
    entry = {"type": INSTANCE, "sender": BOT, "state_key": f"_{BOT}/box", "content": content}
    stage.homeserver.instances[DEN] = [{**entry, "origin_server_ts": stage.homeserver.now}]

    assert f"{BOX} (daemon, online) host=box.lan skills=python" in await stage.use("who")
    await stage.use("send", text="Hello.", to="box")
    assert str(stage.meta().to) == BOX


async def test_rooms_say_what_one_may_do_there(stage: Stage) -> None:
    stage.homeserver.rooms[ATTIC] = []
    stage.homeserver.rooms["!cellar:hs"] = []
    stage.homeserver.closed.add(ATTIC)
    stage.homeserver.encrypted.add("!cellar:hs")

    assert (await stage.use("rooms")).splitlines() == [
        "den (!den:hs): read, send",
        "!attic:hs (!attic:hs): read",
        "!cellar:hs (!cellar:hs): nothing; encrypted",
    ]


async def test_a_task_is_given_listed_and_taken_back(stage: Stage) -> None:
    given = await stage.use("assign_task", text="Mend the tap.\nAll of it.", to=BOX, minutes=60)
    task = str(stage.meta().task)
    listed = await stage.use("tasks")
    cancelled = await stage.use("update_task", task=task, state="cancelled", note="Not needed.")

    assert f"{task} assigned: {ME} → {BOX} in den, due " in given
    assert "| Mend the tap." in given
    assert f"{task} assigned: {ME} → {BOX} in den, due " in listed
    assert f"{task} cancelled" in cancelled
    assert await stage.use("tasks") == "There are no tasks."
    assert f"{task} cancelled" in await stage.use("tasks", all=True)
    assert "Refused (conflict)" in await stage.fail("update_task", task=task, state="cancelled")


async def test_a_task_that_was_given_to_the_account_is_worked_on(stage: Stage) -> None:
    meta = {"version": 1, "id": "m1", "kind": "task", "task": "t1", "instance": "box", "to": ME}
    stage.homeserver.say(DEN, BOT, {"body": "[TASK] Mend the tap.", META_KEY: meta})

    assert "t1 working" in await stage.use("update_task", task="t1", state="progress", note="Half of it.")
    assert "t1 done" in await stage.use("update_task", task="t1", state="done")
    assert str(stage.meta().to) == BOX


async def test_of_tasks_one_room_is_read(stage: Stage) -> None:
    stage.homeserver.rooms[ATTIC] = []

    assert "say which `room`" in await stage.fail("tasks")
    assert await stage.use("tasks", room="den") == "There are no tasks."


async def test_a_file_is_sent_from_where_it_was_started_and_from_nowhere_else(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("hello")
    (tmp_path / "link").symlink_to("/etc/passwd")
    told = await stage.use("send_file", path="out/a.txt", caption="Look.")
    content = stage.homeserver.rooms[DEN][-1]["content"]

    assert told == "The file is on its way into the room."
    assert (content["msgtype"], content["filename"], content["body"]) == ("m.file", "a.txt", "Look.")
    assert stage.homeserver.files[content["url"]] == b"hello"
    for outside in ("../secret", "link", "/etc/passwd", "out", "nothing"):
        assert "Nothing was done." in await stage.fail("send_file", path=outside)
    assert len(stage.homeserver.files) == 1


async def test_the_whole_exchange_is_there(stage: Stage) -> None:
    await stage.use("send", text="Hello.", to=BOX)
    message = await stage.exchange.status(CALLER, MessageId(stage.meta().id))

    assert (message.state, message.body) == (MessageState.SENT, "Hello.")


# ── what does not work ──

SPEAKS: dict[str, dict[str, Any]] = {
    "send": {"text": "Hello."},
    "ask": {"text": "Well?", "to": BOX},
    "assign_task": {"text": "Mend it.", "to": BOX},
    "send_file": {"path": "a.txt"},
}
READS: dict[str, dict[str, Any]] = {"read": {}, "history": {}, "tasks": {}}


@pytest.mark.parametrize("name", [*SPEAKS, *READS, "update_task"])
async def test_an_encrypted_room_is_closed(stage: Stage, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("hello")
    stage.homeserver.encrypted.add(DEN)
    given = {**SPEAKS, **READS, "update_task": {"task": "t1", "state": "done"}}[name]
    told = await stage.fail(name, **given)

    assert told.startswith("Refused (not_allowed). The room !den:hs is encrypted, and cchat has no keys")
    assert stage.homeserver.rooms[DEN] == []
    assert stage.homeserver.files == {}


@pytest.mark.parametrize("name", [*SPEAKS, *READS])
async def test_a_room_that_is_not_there_is_none(stage: Stage, name: str) -> None:
    told = await stage.fail(name, **{**SPEAKS, **READS}[name], room="kitchen")

    assert told == "Nothing was done. There is no room `kitchen` for you. There are: den."


@pytest.mark.parametrize("name", SPEAKS)
async def test_who_may_not_send_is_told_so(stage: Stage, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("hello")
    stage.homeserver.closed.add(DEN)

    assert await stage.fail(name, **SPEAKS[name]) == "Refused (not_allowed). M_FORBIDDEN: You may not."


@pytest.mark.parametrize("name", offered(AUDIENCE))
@pytest.mark.parametrize(
    ("exit_", "code", "more"),
    [
        (Exit.LOGIN, "unavailable", " This session goes on with the old one: it has to be started anew then."),
        (Exit.UNREACHABLE, "unavailable", " Nothing was done."),
        (Exit.FULL, "full", ""),
    ],
)
async def test_whatever_is_asked_a_failure_is_a_sentence(
    stage: Stage, name: str, exit_: Exit, code: str, more: str
) -> None:
    stage.homeserver.problem = NotDone("https://hs is not there", exit_)
    given = {**SPEAKS, **READS, "who": {}, "rooms": {}, "update_task": {"task": "t1", "state": "done"}}[name]

    assert await stage.fail(name, **given) == f"Refused ({code}). https://hs is not there.{more}"


async def test_what_may_have_been_said_is_not_called_unsaid(stage: Stage) -> None:
    stage.homeserver.problem_with_puts = NotDone("it broke off", Exit.UNCERTAIN)
    told = await stage.fail("send", text="Hello.")

    assert told == (
        "Refused (unavailable). It broke off. What you asked for may have been done: look with `read` before you do it "
        "again."
    )


async def test_what_was_not_said_is_called_so(stage: Stage) -> None:
    stage.homeserver.problem_with_puts = NotDone("it does not answer; is it there?", Exit.UNREACHABLE)

    assert (await stage.fail("send", text="Hello.")).endswith(" It does not answer; is it there? Nothing was done.")


# ── bounds ──


class Held:
    """A homeserver that says nothing before it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()

    def rooms(self) -> list[Any]:
        self.begun.release()
        self.let_go.wait(30)
        return []

    def update(self, *_: object) -> None:
        self.let_go.wait(30)


async def test_no_more_than_so_many_ask_at_once_and_the_others_wait() -> None:
    held = Held()
    exchange = DirectExchange(lambda _: held)  # type: ignore[arg-type, return-value]
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(exchange.rooms(CALLER)) for _ in range(AT_ONCE + 1)]
        for _ in range(AT_ONCE):
            assert await in_thread(lambda: held.begun.acquire(timeout=30))
        is_next = held.begun.acquire(blocking=False)
        held.let_go.set()

    assert not is_next
    assert [task.result() for task in asking] == [[]] * (AT_ONCE + 1)


async def test_a_call_that_is_given_up_keeps_its_place_until_its_requests_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_direct, "AT_ONCE", 1)
    held = Held()
    exchange = DirectExchange(lambda _: held)  # type: ignore[arg-type, return-value]
    async with asyncio.TaskGroup() as group:
        given_up = group.create_task(exchange.rooms(CALLER))
        assert await in_thread(lambda: held.begun.acquire(timeout=30))
        given_up.cancel()
        await asyncio.wait([given_up])
        following = group.create_task(exchange.rooms(CALLER))
        has_begun = await in_thread(lambda: held.begun.acquire(timeout=0.1))
        held.let_go.set()

    assert given_up.cancelled()
    assert not has_begun
    assert following.result() == []


async def test_who_waits_too_long_is_told_whether_something_may_have_been_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_direct, "LAST_ANSWER_SECONDS", 0.0)
    held = Held()
    exchange = DirectExchange(lambda _: held, seconds=0.01)  # type: ignore[arg-type, return-value]
    with pytest.raises(ExchangeRefused, match=r"took too long\.$"):
        await exchange.rooms(CALLER)
    with pytest.raises(ExchangeRefused, match="may have been done"):
        await exchange.update_task(CALLER, RoomId(DEN), "t1", "done", "")  # type: ignore[arg-type]
    held.let_go.set()


async def test_who_gets_no_place_is_told_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_direct, "AT_ONCE", 1)
    held = Held()
    exchange = DirectExchange(lambda _: held, seconds=0.01)  # type: ignore[arg-type, return-value]
    async with asyncio.TaskGroup() as group:
        first = group.create_task(exchange.rooms(CALLER))
        assert await in_thread(lambda: held.begun.acquire(timeout=30))
        with pytest.raises(ExchangeRefused, match=r"Nothing was done\."):
            await exchange.rooms(CALLER)
        held.let_go.set()

    assert first.result() == []


# ── the command ──


def logged_in(home: Path, homeserver: str = "http://127.0.0.1:1") -> None:
    keep(login_file(str(home), None), Login(homeserver=homeserver, user_id=ME, access_token="syt_secret"))


async def test_it_begins_without_a_gateway_and_says_as_whom_it_speaks(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"errcode": "M_UNKNOWN_TOKEN", "error": "No."}).encode()
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
        logged_in(tmp_path, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        program = StdioServerParameters(
            command=sys.executable,
            args=["-m", "aiagentchat.cli.cchat", "mcp"],
            env=clean_env(HOME=str(tmp_path), PYTHONPATH=str(Path(__file__).parents[2])),
            cwd=tmp_path,
        )
        with (tmp_path / "stderr").open("w") as heard:
            async with (
                stdio_client(program, errlog=heard) as (reading, writing),
                ClientSession(reading, writing, read_timeout_seconds=timedelta(seconds=30)) as talking,
            ):
                about = await talking.initialize()
                listed = {tool.name for tool in (await talking.list_tools()).tools}
                result = await talking.call_tool("who", {})
                [content] = result.content

    assert (tmp_path / "stderr").read_text() == f"cchat: without a gateway, as {ME}\n"
    assert f"you speak as the account {ME} itself" in str(about.instructions)
    assert listed == set(offered(AUDIENCE))
    assert result.isError
    assert isinstance(content, TextContent)
    assert "does not accept this login (any more); make a new one with cchat login" in content.text
    assert "syt_secret" not in content.text


async def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    logged_in(tmp_path)
    pipe = asyncio.subprocess.PIPE
    program = [sys.executable, "-m", "aiagentchat.cli.cchat", "mcp"]
    env = clean_env(HOME=str(tmp_path), PYTHONPATH=str(Path(__file__).parents[2]))
    process = await asyncio.create_subprocess_exec(
        *program, env=env, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        await process.wait()

    assert process.returncode == -signal.SIGINT
    assert (await process.communicate())[1].decode() == f"cchat: without a gateway, as {ME}\n"


def test_a_gateway_that_was_only_found_and_where_nobody_listens_is_none(tmp_path: Path) -> None:
    gateway = tmp_path / "data" / "gateway"
    gateway.mkdir(parents=True)
    (tmp_path / "config.yaml").touch()
    (gateway / "operator.sock").touch()
    (gateway / "operator.token").touch(mode=0o600)
    (gateway / "operator.token").write_text("gw_gone")
    logged_in(tmp_path)
    environ = {"HOME": str(tmp_path)}
    found = login_of(find(Way(), environ, tmp_path))
    asked_for = login_of(find(Way(config=str(tmp_path / "config.yaml")), environ, tmp_path))

    assert (found.user_id if found else None, asked_for) == (ME, None)


def test_a_gateway_that_breaks_off_is_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def break_off() -> None:
            taken, _ = listener.accept()
            taken.close()

        threading.Thread(target=break_off, daemon=True).start()
        login = Login(homeserver="http://127.0.0.1:1", user_id=ME, access_token="t")
        found = login_of(AtGateway(place=place(f"http://127.0.0.1:{port}"), token="t", otherwise=login))

    assert found is None


def test_without_gateway_and_login_it_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert serve(Way()) == Exit.NO_WAY
    assert "there is no gateway and no login" in capsys.readouterr().err


def test_a_login_that_leads_nowhere_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logged_in(tmp_path, "http://matrix.example.org")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert serve(Way(direct=True)) == Exit.USAGE
    assert "use https" in capsys.readouterr().err
