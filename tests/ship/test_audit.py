"""The real pip-audit, asking a service that is played here: known, unknown, silent, and away."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from rig.audit import KNOWN, NOT_ASKED, NOTHING_KNOWN
from rig.host import free_port
from rig.pins import pins
from rig.setup import ROOT

pytestmark = [pytest.mark.ship, pytest.mark.real, pytest.mark.timeout(600)]

FILES = [ROOT / "deploy/requirements-build.txt", ROOT / "requirements-cli.txt"]
BUILD = {pin.name: pin.version for pin in pins(FILES[0])}
Answer = Callable[[str], dict[str, Any]]


def hole(name: str, package: str) -> dict[str, Any]:
    """As OSV tells one."""
    fixed = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": fixed}
    return {"id": name, "schema_version": "1.6.0", "summary": "Bad.", "aliases": ["CVE-2026-1"], "affected": [affected]}


def knowing(*packages: str) -> Answer:
    return lambda package: {"vulns": [hole("PYSEC-2026-1", package)]} if package in packages else {}


@contextmanager
def service(answer: Answer) -> Iterator[str]:
    """OSV's query, for as long as it lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer(asked["package"]["name"])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def audit(url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "rig.audit", "--service", "osv", "--osv-url", url, *words, *map(str, FILES)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, cwd=ROOT)


def without_the_rig(said: str) -> list[str]:
    """The lines that are not about what was installed first."""
    return [line for line in said.splitlines() if not line.startswith("rig: ")]


def test_nothing_is_known_where_the_service_knows_of_others() -> None:
    with service(knowing("pyyaml")) as url:
        done = audit(url)

    assert (done.returncode, without_the_rig(done.stderr)) == (NOTHING_KNOWN, [])
    assert f"requirements-build.txt: {len(BUILD)} of {len(BUILD)} asked about, 0 known holes" in done.stdout


def test_what_is_known_is_named_and_can_be_left_out() -> None:
    with service(knowing("pyyaml", "pluggy")) as url:
        done, without = audit(url), audit(url, "--ignore", "PYSEC-2026-1")

    assert done.returncode == KNOWN
    assert f"  pluggy {BUILD['pluggy']}: PYSEC-2026-1, CVE-2026-1; mended in 99" in done.stdout
    assert without.returncode == NOTHING_KNOWN


def test_a_service_that_knows_nothing_at_all_is_no_pass() -> None:
    with service(knowing()) as url:
        done = audit(url)

    assert done.returncode == NOT_ASKED
    assert "does not say what is known of pyyaml==5.3" in done.stdout


def test_a_service_that_is_away_is_no_pass() -> None:
    done = audit(f"http://127.0.0.1:{free_port()}/v1/query")

    assert done.returncode == NOT_ASKED
    assert "This is no pass" in done.stdout


def test_a_service_that_goes_away_is_no_pass_either() -> None:
    asked: list[str] = []

    def once(package: str) -> dict[str, Any]:
        asked.append(package)
        if len(asked) > 3:
            raise ConnectionResetError
        return knowing("pyyaml")(package)

    with service(once) as url:
        done = audit(url)

    assert done.returncode == NOT_ASKED
    assert f"  no answer for {len(BUILD)}: hatchling {BUILD['hatchling']}" in done.stdout
