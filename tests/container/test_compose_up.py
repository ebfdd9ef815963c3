"""docker-compose.yml, all of it that can be had, started by the real compose by the words of its page.

At Podman's Docker interface, with stand-ins for the images of others (`rig.compose` says which, and why). Somebody logs
in at the Synapse of the file, over the port that it publishes, and is answered by the daemon in its container, which
runs the real Claude Code program on the rig's model.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from rig.compose import Project, images_of_others, project
from rig.container import IMAGE
from rig.homeserver import Account
from rig.matrix_client import MatrixUser, matrix_user
from rig.script import Step, script
from tests.docs.command_blocks import Block, blocks

pytestmark = [
    pytest.mark.ship,
    pytest.mark.real,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not IMAGE or shutil.which("podman") is None, reason="AIAGENTCHAT_TEST_IMAGE names no image"),
]

PAGE = blocks("docs/how-to/compose.md")
HOMESERVER = "http://localhost:8008"
ELEMENT = "http://localhost:8080"
KEY = "sk-ant-offline"
MATRIX = {
    **dict.fromkeys(("synapse-config", "bootstrap"), "exited 0"),
    **dict.fromkeys(("network", "model"), "running 0"),  # they have no health check
    **dict.fromkeys(("synapse", "element", "aiagentchat"), "healthy"),
}
WATCHED = MATRIX | {
    "prometheus-config": "exited 0",
    **dict.fromkeys(("prometheus", "alertmanager"), "running 0"),
}
LOCAL, SERVER = "localhost", "example.org"
"""The names of the page."""
STARTED = 'aiagentchat_process_start_time_seconds{job="aiagentchat"}'
LOOKS = 120
"""So many seconds, one by one, until something must be so."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Project]:
    """A folder with the file, as in a checkout, and beside it what the page says for Podman."""
    beside = yaml.safe_load(block("unmask=ALL").text)
    with images_of_others("synapse", "element", "prometheus", "alertmanager"), project(tmp_path, IMAGE, beside) as made:
        yield made


def block(holding: str) -> Block:
    """The one of the page that holds these words."""
    [found] = [each for each in PAGE if holding in each.text]
    return found


async def get(address: str) -> Any:
    """The JSON that is there."""
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        assert answer.status == 200, answer
        return await answer.json(content_type=None)


@asynccontextmanager
async def logged_in(password: str) -> AsyncIterator[MatrixUser]:
    """The person whom `bootstrap` has made, at a client that knows the published port."""
    asked = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "you"}, "password": password}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{HOMESERVER}/_matrix/client/v3/login", json=asked) as answer,
    ):
        said = await answer.json()
    assert answer.status == 200, said
    account = Account(
        user_id=said["user_id"], password=password, access_token=said["access_token"], device_id=said["device_id"]
    )
    async with matrix_user(HOMESERVER, account) as you:
        yield you


async def ask(you: MatrixUser, room: str, text: str, answer: str) -> None:
    """Have the daemon give this answer."""
    asked = await you.send(room, script(text, Step(text=answer)))
    await you.until_message(room, answer, sender=you.id.replace("@you:", "@claude:"), timeout=90)
    await you.until_reaction(room, asked, "✅", timeout=90)


async def until_states(here: Project, wanted: dict[str, str]) -> None:
    """Until each service is as it should be."""
    found: dict[str, str] = {}
    for _ in range(LOOKS):
        found = await asyncio.to_thread(here.states)
        if found == wanted:
            return
        await asyncio.sleep(1)
    raise AssertionError(f"{found}, and not {wanted}\n{here.logs()}")


async def typed(here: Project, text: str) -> str:
    """What is said to that by a shell."""
    return await asyncio.to_thread(here.type, text)


async def until_it_listens(here: Project) -> None:
    """Until the daemon has heard its homeserver: what is said before the first time is not for it."""
    await typed(here, "until docker compose exec -T aiagentchat aiagentchat healthcheck --ready; do sleep 1; done")


async def test_one_up_brings_a_homeserver_a_room_and_a_daemon_that_answers_there(here: Project) -> None:
    said = await typed(here, block("--profile matrix up").text.replace("sk-ant-…", KEY))
    await until_states(here, MATRIX)
    await until_it_listens(here)
    [place] = re.findall(r"the password is in /(config/\S+);", said)
    shown = (await get(f"{ELEMENT}/config.json"))["default_server_config"]["m.homeserver"]
    doctor = await asyncio.to_thread(here.compose, "exec", "-T", "aiagentchat", "aiagentchat", "doctor", "--json")
    rows = {row["id"]: row for row in json.loads(doctor)}
    down, away = block('--profile "*" down --volumes').text.splitlines()

    password = (here.folder / place).read_text("utf-8").strip()
    async with logged_in(password) as you:
        room = await you.join(f"#first:{LOCAL}")
        await ask(you, room, "The number is seven.", "I will keep that.")
        await typed(here, down)
        again = await typed(here, "docker compose --profile matrix up -d; docker compose logs bootstrap")
        await ask(you, room, "Which number?", "Seven.")
    [request] = [raw for raw in await asyncio.to_thread(here.asked, "Which number?") if '"tools"' in raw]
    kept = await asyncio.to_thread(here.volumes)
    await typed(here, away)
    left = await asyncio.to_thread(here.volumes)
    config = here.folder / "config/config.yaml"
    config.write_text(config.read_text("utf-8").replace(room, f"#first:{LOCAL}"), "utf-8")
    await typed(here, "docker compose --profile matrix up -d")
    await until_it_listens(here)
    async with logged_in(password) as you:
        another = await you.join(f"#first:{LOCAL}")
        await ask(you, another, "Which number?", "I know of none.")

    assert shown == {"base_url": HOMESERVER, "server_name": LOCAL}
    assert (rows["isolation.chosen"]["verdict"], rows["isolation.strict"]["verdict"]) == ("ok", "ok")
    assert "strict" in rows["isolation.chosen"]["detail"]
    assert [row for row in rows.values() if row["verdict"] == "fail"] == []
    assert re.search(r"\b0 done, ", again)
    assert "The number is seven." in request
    assert "I will keep that." in request
    assert kept == {"data", "rooms", "synapse"}
    assert left == set()
    assert another != room


async def prometheus(here: Project, path: str) -> Any:
    """What it says there, asked by the name that Grafana knows."""
    return json.loads(await asyncio.to_thread(here.fetch, "model", f"http://prometheus:9090/api/v1/{path}"))["data"]


async def value(here: Project, expression: str) -> float:
    """What Prometheus says to it; -1 while it says nothing."""
    result = (await prometheus(here, f"query?query={quote(expression)}"))["result"]
    return float(result[0]["value"][1]) if result else -1.0


async def until_more(here: Project, expression: str, than: float) -> float:
    """Until it comes to more than that; what it comes to then."""
    for _ in range(LOOKS):
        found = await value(here, expression)
        if found > than:
            return found
        await asyncio.sleep(1)
    raise AssertionError(f"{expression} is {found}, and not above {than}\n{here.logs()}")


async def test_prometheus_asks_the_daemon_before_and_after_its_restart_and_knows_whom_to_tell(here: Project) -> None:
    """By the names in the files of `deploy`, and for a server that is called otherwise."""
    (here.folder / ".env").write_text(f"{block('SERVER_NAME=').text}ALERTMANAGER=alertmanager:9093\n", "utf-8")
    before, _, _ = block("--profile matrix up").text.partition("docker compose --profile matrix")
    await typed(here, before.replace("sk-ant-…", KEY).replace(":localhost", f":{SERVER}"))
    with (here.folder / "config/config.yaml").open("a", encoding="utf-8") as config:
        config.write(block("prometheus: {}").text)
    await typed(here, "sudo install -o 10001 -m 600 deploy/prometheus/alertmanager.yaml config/")
    # Not all of the profile: Loki, Alloy and Grafana are not to be had.
    profiles = "--profile matrix --profile observability --profile alerts"
    await typed(here, f"docker compose {profiles} up -d element model prometheus alertmanager")
    await until_states(here, WATCHED)

    first = await until_more(here, STARTED, than=0)
    restart, _ = block("restart aiagentchat").text.splitlines()
    await typed(here, restart)
    await until_more(here, STARTED, than=first)
    told = (await prometheus(here, "alertmanagers"))["activeAlertmanagers"]
    [rules] = (await prometheus(here, "rules"))["groups"]
    status = await get("http://localhost:9093/api/v2/status")
    alertmanager = yaml.safe_load((here.folder / "docker-compose.yml").read_text("utf-8"))["services"]["alertmanager"]
    [store] = [word.partition("=")[2] for word in alertmanager["command"] if word.startswith("--storage.path=")]
    await typed(here, f"docker compose exec -T alertmanager test -w {store}")

    assert await value(here, 'up{job="aiagentchat"}') == 1
    assert [each["url"] for each in told] == ["http://alertmanager:9093/api/v2/alerts"]
    assert {rule["health"] for rule in rules["rules"]} == {"ok"}
    assert status["cluster"]["status"]
    assert await get(f"{HOMESERVER}/_matrix/client/v3/profile/@claude:{SERVER}") is not None
