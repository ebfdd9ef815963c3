"""A real Prometheus that scrapes a daemon, with our alerts in a hurry. From Debian: `apt-get install prometheus`."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from rig.gateway import free_port
from rig.unprivileged import clean_env

RULES = Path(__file__).resolve().parent.parent / "deploy" / "prometheus"
HURRY = 60
"""So much sooner alerts fire here."""
LOOK_SECONDS = 0.3
PATIENCE = 90.0
MISSING = "Prometheus is not here; get it with: apt-get install --no-install-recommends prometheus"
_DURATION = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def is_there() -> bool:
    """Whether it can be started."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def hurried(rules: str) -> str:
    """The alerts, with everything that they wait for so much shorter. What is no time (`> 0`) stays."""
    said = yaml.safe_load(rules)
    for rule in said["groups"][0]["rules"]:
        rule["expr"] = re.sub(r"(> )(\d+)$", lambda found: f"{found[1]}{int(found[2]) / HURRY:g}", rule["expr"])
        if "for" in rule:
            number, unit = _DURATION.fullmatch(rule["for"]).groups()  # type: ignore[union-attr] # ours
            rule["for"] = f"{max(1, int(number) * _SECONDS[unit] // HURRY)}s"
    return yaml.safe_dump(said)


class Prometheus:
    """Made by `prometheus`."""

    def __init__(self, http: aiohttp.ClientSession, log: Path) -> None:
        self._http = http
        self._log = log

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """What it answers now. Raises ValueError if it does not take the expression."""
        async with self._http.get("/api/v1/query", params={"query": expression}) as answer:
            said = await answer.json()
        if said["status"] != "success":
            raise ValueError(f"{expression}: {said['error']}")
        result: list[dict[str, Any]] = said["data"]["result"]
        return result

    async def value(self, expression: str) -> float | None:
        """Of the one series that it comes to; None while there is none."""
        result = await self.query(expression)
        return float(result[0]["value"][1]) if result else None

    async def firing(self) -> set[str]:
        """The alerts that fire."""
        async with self._http.get("/api/v1/alerts") as answer:
            alerts = (await answer.json())["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def until_firing(self, *names: str) -> None:
        """Until these fire, and no others."""
        await self._until(set(names), exactly=True)

    async def until_fires(self, name: str) -> None:
        """Until this one fires, whatever else does."""
        await self._until({name}, exactly=False)

    async def until_value(self, expression: str, value: float) -> None:
        """Until it comes to that."""
        found: float | None = None
        for _ in range(round(PATIENCE / LOOK_SECONDS)):
            found = await self.value(expression)
            if found == value:
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"{expression} is {found}, not {value}\n{self.tail()}")

    async def _until(self, wanted: set[str], *, exactly: bool) -> None:
        found: set[str] = set()
        for _ in range(round(PATIENCE / LOOK_SECONDS)):
            found = await self.firing()
            if found == wanted or (not exactly and wanted <= found):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"{sorted(found)} fire, and not {sorted(wanted)}\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]


@asynccontextmanager
async def prometheus(folder: Path, *, target: int, token: Path) -> AsyncGenerator[Prometheus, None]:
    """One that scrapes the port `target` every second, with the token in that file, as soon as there is one."""
    port = free_port()
    (folder / "alerts.yaml").write_text(hurried((RULES / "alerts.yaml").read_text(encoding="utf-8")), encoding="utf-8")
    config = yaml.safe_load((RULES / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [job] = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(token)
    job["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    log = folder / "prometheus.log"
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            argv, cwd=folder, env=clean_env(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            made = Prometheus(http, log)
            await _until_ready(http, process, made)
            yield made
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, PATIENCE)


@asynccontextmanager
async def alertmanager(folder: Path, *, webhook: str) -> AsyncGenerator[str, None]:
    """Debian's, with the shipped settings but for how it tells. Where there is none, `webhook` is told by Prometheus.

    Yields its address, as alertmanagers.yaml names it.
    """
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        yield webhook.removeprefix("http://").rstrip("/")
        return
    port = free_port()
    config = yaml.safe_load((RULES / "alertmanager.yaml").read_text(encoding="utf-8"))
    [receiver] = config["receivers"]
    receiver.pop("email_configs")
    receiver["webhook_configs"] = [{"url": webhook}]
    config["route"]["group_wait"] = "1s"
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    argv = [
        program,
        f"--config.file={folder / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            argv, cwd=folder, env=clean_env(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, PATIENCE)


async def _until_ready(http: aiohttp.ClientSession, process: "subprocess.Popen[bytes]", made: Prometheus) -> None:
    for _ in range(round(PATIENCE / LOOK_SECONDS)):
        if process.poll() is not None:
            break
        try:
            async with http.get("/-/ready") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"Prometheus did not start\n{made.tail()}")


def promtool(words: Sequence[str], folder: Path = RULES) -> str:
    """What promtool says to that. Raises CalledProcessError when it finds fault, with what it says as its output."""
    argv = ["promtool", *words]
    done = subprocess.run(argv, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout
