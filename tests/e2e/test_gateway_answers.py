"""What a run asks, and a program that may be in one room: no answer has a secret, or what was said in another room.

Every route of the gateway's description is asked, and every tool, about the caller's own room and about another one.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from aiagentchat.exchange.filing import IN_ARGUMENTS
from aiagentchat.exchange.tools import Audience, offered
from rig import openapi_page
from rig.gateway import free_port, gateway_client
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("cli"), needs_bubblewrap]

SECRET_WORDS = ("the word is swordfish", "Aye, it is.", "for the cellar alone")
OURS = "for everybody in the kitchen"
KITCHEN, CELLAR = "room0", "room1"
ROUTES: dict[str, dict[str, Any]] = openapi_page.description()["paths"]
SCHEMAS: dict[str, dict[str, Any]] = openapi_page.description()["components"]["schemas"]
STREAM = "/events"
METRICS = ["/metrics", None]

ASKER = """
import json, os, socket, urllib.error, urllib.request
plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
through = urllib.request.build_opener()
def ask(opener, url, method="GET", said=None, token=None):
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token: headers["Authorization"] = "Bearer " + token
    data = None if said is None else json.dumps(said).encode()
    try:
        answer = opener.open(urllib.request.Request(url, data, headers, method=method), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        return f"nobody: {error}"
    return f"{answer.status} {answer.headers} {answer.read(1 << 20).decode('utf-8', 'replace')}"
def at_socket(path):
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            line.sendall(b"GET /status HTTP/1.1\\r\\nHost: gateway\\r\\nConnection: close\\r\\n\\r\\n")
            return line.recv(65536).decode("utf-8", "replace")
    except OSError as error:
        return f"nobody: {error}"
todo, answers = json.load(open("todo.json")), []
def note(asked, answer):
    answers.append([asked, answer])
own, key = os.environ["AIAGENTCHAT_ROOM"], os.environ["AIAGENTCHAT_ROOM_TOKEN"]
gate = os.environ["ANTHROPIC_BASE_URL"]
for method, path, said in todo["routes"]:
    note([path, said], ask(plain, todo["gateway"] + path, method, said))
    note([path, said], ask(plain, todo["gateway"] + path, method, said, key))
    note([path, said], ask(through, todo["gateway"] + path, method, said, key))
    note([path, said], ask(plain, gate + path, method, said, key))
note(["/status", None], at_socket(todo["socket"]))
listed = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
note(listed, ask(plain, own, "POST", listed, key))
for name, given in todo["tools"]:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": given}}
    note(call, ask(plain, own, "POST", call, key))
json.dump(answers, open("answers.json", "w"))
print(len(answers), "answers")
"""
"""What runs in the room, with nothing but what the room has: it asks at the gateway's port with and without the run's
token, by the proxy, at the gate, at the operator's socket, and with each tool."""


def values(room: str, message: str, event: str, task: str) -> Mapping[str, object]:
    """What the fields and parameters of the description are filled with; a new one needs a line here."""
    return {
        "room": room,
        "room_id": room,
        "message": message,
        "in_reply_to": message,
        "task": task,
        "thread": event,
        "body": OURS,
        "text": OURS,
        "to": "@nobody:example.org/there",
        "name": "Another",
        "words": "word",
        "seconds": 1,
        "step": "done",
        "state": "done",
        "username": "kitchen",
        "password": "no password",
        "limit": 100,
        "minutes": 5,
        "all": "true",
    }


def requests(aim: Mapping[str, object]) -> list[tuple[str, str, object]]:
    """Each route, once: method, path with its query, body."""
    asked: list[tuple[str, str, object]] = []
    for path, methods in ROUTES.items():
        for method, about in methods.items():
            where, query = path, {}
            for parameter in about.get("parameters", ()):
                name = parameter["name"]
                if parameter["in"] == "path":
                    where = where.replace(f"{{{name}}}", str(aim[name]))
                elif parameter["in"] == "query" and name in ("room", "words", "limit", "all"):
                    query[name] = aim[name]
            body = None
            if "requestBody" in about:
                schema = about["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                fields = [
                    *SCHEMAS[schema]["required"],
                    *{"in_reply_to", "thread", "seconds"} & SCHEMAS[schema]["properties"].keys(),
                ]
                body = {name: aim[name] for name in fields}
            asked.append((method.upper(), f"{where}?{urlencode(query)}" if query else where, body))
    return asked


def tool_calls(
    audience: Audience, aim: Mapping[str, object], *, with_room: bool
) -> list[tuple[str, dict[str, object]]]:
    """Each tool, once."""
    calls = []
    for name, tool in offered(audience).items():
        given = {
            field: aim[field] for field in tool.fields if field in ("text", "to", "task", "state", "seconds", "words")
        }
        calls.append((name, given | ({"room": aim["room"]} if with_room or "room" in tool.fields else {})))
    return calls


def secrets_of(house: House, own: str) -> dict[str, str]:
    """All that nobody may read, by what it is."""
    data = Path(house.daemon.data_dir)
    tokens = {str(file): file.read_text().strip() for file in (data / "gateway").rglob("*.token")}
    assert len(tokens) == 4  # of the operator, the port, and two callers
    key = (data / "store.key").read_bytes().strip()
    return {
        **tokens,
        "the caller's own token": own,
        "the access token": house.account.access_token,
        "the password": house.account.password,
        "the key of the model": house.daemon.environ["ANTHROPIC_API_KEY"],
        "the key of the database": key.decode("ascii", "ignore") or key.hex(),
        "the key of the database, in hex": key.hex(),
    }


def judge(house: House, own: str, asked: object, answer: str) -> None:
    """Nothing is in the answer that was not in the question, either."""
    for what, secret in secrets_of(house, own).items():
        assert secret not in answer, (what, asked)
    # What rooms are called in config.yaml stands in the metrics, for whoever has a token (docs/reference/metrics.md).
    names = () if asked == METRICS else (CELLAR,)
    for text in (*SECRET_WORDS, house.rooms[1], *names):
        assert text in json.dumps(asked) or text not in answer, (asked, answer)


async def test_no_answer_to_a_run_or_a_program_of_one_room_has_a_secret_or_another_rooms_text(
    people: People, model: Model, workplace: Path
) -> None:
    gateway = {
        "enabled": True,
        "port": free_port(),
        "callers": {
            KITCHEN: {name: [KITCHEN] for name in ("read", "send", "run")},
            CELLAR: {"read": [CELLAR], "send": [CELLAR]},
        },
    }
    async with move_in(people, model, workplace, rooms=2, room={"allow": ["Bash"]}, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        kitchen, cellar = house.rooms
        folder = Path(house.daemon.data_dir) / "gateway"
        own = (folder / f"callers/{KITCHEN}.token").read_text().strip()

        # What there is to be found: in the other room a person's words, an answer, a program's message and a task.
        said = await house.anna.send(cellar, script(SECRET_WORDS[0], Step(text=SECRET_WORDS[1])))
        assert await house.ended(said, room=cellar) == "✅"
        async with gateway_client(house.daemon, f"callers/{CELLAR}.token") as other:
            sent = await other.send(CELLAR, SECRET_WORDS[2])
            await other.ask("POST", "/tasks", {"room": CELLAR, "to": "@nobody:example.org", "text": SECRET_WORDS[2]})
            [task] = (await other.ask("GET", "/tasks?all=true"))["tasks"]
        async with gateway_client(house.daemon, f"callers/{KITCHEN}.token") as mine:
            await mine.send(KITCHEN, OURS)
        await house.anna.until_message(kitchen, OURS, sender=house.account.user_id)
        aims = [
            values(CELLAR, sent["id"], said, task["id"]),
            values(cellar, sent["id"], said, task["id"]),
            values(KITCHEN, "m0", "$e", "t0"),
        ]

        await _a_program_asks(house, own, aims)
        await _a_run_asks(house, own, aims)


async def _a_program_asks(house: House, own: str, aims: list[Mapping[str, object]]) -> None:
    """With a token that is good in the kitchen."""
    answered = 0
    base, headers = f"http://127.0.0.1:{house.daemon.settings['gateway']['port']}", {"Authorization": f"Bearer {own}"}
    async with aiohttp.ClientSession(base, headers=headers, timeout=aiohttp.ClientTimeout(total=30)) as http:
        for aim in aims:
            for method, path, body in requests(aim):
                if path.startswith(STREAM):
                    continue
                async with http.request(method, path, json=body) as answer:
                    judge(house, own, [path, body], f"{answer.headers} {await answer.text()}")
                    answered += answer.status < 300
            for name, given in tool_calls(Audience(files=IN_ARGUMENTS), aim, with_room=True):
                call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": given}}
                accept = {"Accept": "application/json, text/event-stream"}
                async with http.post("/mcp", json=call, headers=accept) as answer:
                    text = await answer.text()
                    assert answer.status == 200, text
                    judge(house, own, call, text)
        # The stream tells all that was said, from the beginning; its own room's is there, so the other's would be.
        async with http.get(STREAM, headers={"Last-Event-ID": "0"}) as stream:
            told = ""
            async with asyncio.timeout(30):
                while OURS not in told:
                    told += (await stream.content.readline()).decode()
        judge(house, own, STREAM, told)
    assert answered >= len(ROUTES) // 2


async def _a_run_asks(house: House, own: str, aims: list[Mapping[str, object]]) -> None:
    """By a program of its own, inside of the sandbox, while its turn runs."""
    room, data = house.workspace(), Path(house.daemon.data_dir)
    todo = {
        "gateway": f"http://127.0.0.1:{house.daemon.settings['gateway']['port']}",
        "socket": str(data / "gateway" / "operator.sock"),
        "routes": [asked for aim in aims for asked in requests(aim) if not asked[1].startswith(STREAM)],
        "tools": [
            call for aim in aims for call in tool_calls(Audience(is_run=True), aim, with_room=aim["room"] != KITCHEN)
        ],
    }
    await house.shell("true")  # its folder is there from the first turn on
    (room / "todo.json").write_text(json.dumps(todo))
    (room / "ask.py").write_text(ASKER)
    said = await house.shell("/usr/bin/python3 ask.py 2>&1", timeout=120)
    answers = json.loads((room / "answers.json").read_text())

    assert said.strip() == f"{4 * len(todo['routes']) + 2 + len(todo['tools'])} answers"
    for asked, answer in answers:
        judge(house, own, asked, answer)
    # It was asked, and heard: the tools answered of its own room, and nobody else did.
    assert any(OURS in answer for _, answer in answers[-len(todo["tools"]) :])
    assert not any(answer.startswith("2") for _, answer in answers[: 4 * len(todo["routes"])])
