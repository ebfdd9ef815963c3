"""The homeserver's client-server API for `cchat`'s own account, with its failures as sentences of ours."""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.wire import Cut, NotConnected, Reply, Wire, path, place
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.backoff import delay
from aiagentchat.core.ports.clock import Random
from aiagentchat.render.hygiene import one_line, visible

TRIES = 6
"""How often one request is made that cannot do harm twice."""
LONGEST_PAUSE = 30.0
"""The longest time that the homeserver may ask us to wait, each time."""
LONG_POLL_SECONDS = 30
PAGE = 100
"""Events of a timeline that are asked for at once."""
MOST_PAGES = 50
"""So many of those are read for what is looked for."""
CLIENT = "/_matrix/client/v3"
MEDIA = "/_matrix/media/v3"
_SHOWN = 200
_EXITS = {"M_FORBIDDEN": Exit.NOT_ALLOWED, "M_NOT_FOUND": Exit.UNKNOWN, "M_TOO_LARGE": Exit.USAGE}


class Homeserver:
    """Made with an access token, or without one for whoever logs in."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Random = random.random,
        clock: Callable[[], float] = time.monotonic,
        until: float = math.inf,
    ) -> None:
        """`until`: by `clock`, when nothing is begun any more; what was begun then goes on for one answer."""
        try:
            where = place(url)
        except ValueError as error:
            raise NotDone(
                f"the homeserver {visible(url)}: {error}; write for example https://matrix.example.org", Exit.USAGE
            ) from None
        if where.url is None:
            raise NotDone(f"the homeserver {visible(url)}: write for example https://matrix.example.org", Exit.USAGE)
        self.url = where.shown
        self._wire = Wire(where, token)
        self._sleep = sleep
        self._chance = chance
        self._clock = clock
        self._until = until

    def get(self, where: str, query: Mapping[str, object] | None = None, *, hold: float = 0.0) -> Json:
        """Ask."""
        return self._do("GET", where, query, None, hold).body

    def get_dated(self, where: str, query: Mapping[str, object] | None = None) -> Reply:
        """Ask, and be told when that was by the homeserver's clock."""
        return self._do("GET", where, query, None, 0.0)

    def put(self, where: str, body: Mapping[str, Any]) -> Json:
        """Do; the same path again does it no second time."""
        return self._do("PUT", where, None, body, 0.0).body

    def post(self, where: str, body: Mapping[str, Any]) -> Json:
        """Do."""
        return self._do("POST", where, None, body, 0.0).body

    def upload(self, data: bytes, *, name: str, mime: str) -> str:
        """Give it a file to keep: where that is."""
        query = {"filename": name}
        kept = self._do("POST", "/upload", query, data, 0.0, api=MEDIA, headers={"Content-Type": mime}).body
        if not isinstance(where := kept.get("content_uri"), str) or not where.startswith("mxc://"):
            raise NotDone(f"{self.url} does not say where it has put the file; nothing was sent", Exit.FAILED)
        return where

    def back(self, room: str, start: str | None) -> Iterator[tuple[list[Json], str | None]]:
        """The timeline from `start` (or its end) backwards, newest first, in pages; with where the next one begins."""
        for _ in range(MOST_PAGES):
            page = self.get(path("rooms", room, "messages"), {"dir": "b", "limit": PAGE, "from": start})
            start = end if isinstance(end := page.get("end"), str) else None
            found = page.get("chunk")
            yield [event for event in found if isinstance(event, dict)] if isinstance(found, list) else [], start
            if start is None:
                return

    def _do(
        self,
        method: str,
        where: str,
        query: Mapping[str, object] | None,
        body: Mapping[str, Any] | bytes | None,
        hold: float,
        *,
        api: str = CLIENT,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        failures, may_be_done = 0, False
        if self._clock() >= self._until:
            raise NotDone(f"{self.url} takes too long; the rest was not asked of it any more", Exit.UNREACHABLE)
        while True:
            failures += 1
            pause = delay(failures, self._chance)
            try:
                reply = self._wire.ask(method, f"{api}{where}", query=query, body=body, headers=headers, hold=hold)
            except (NotConnected, Cut) as error:
                may_be_done = may_be_done or (method == "PUT" and isinstance(error, Cut))
                if self._is_last(failures, pause) or (method == "POST" and isinstance(error, Cut)):
                    raise NotDone(
                        f"{self.url} does not answer ({error}); is the address right, and the homeserver running?",
                        Exit.UNCERTAIN if may_be_done else Exit.UNREACHABLE,
                    ) from error
            else:
                asked = reply.body.get("retry_after_ms") if reply.status == 429 else None
                pause = min(asked / 1000, LONGEST_PAUSE) if isinstance(asked, int) and asked > 0 else pause
                is_last = self._is_last(failures, pause)
                may_be_done = may_be_done or (method == "PUT" and reply.status >= 500)
                if reply.status != 429 and (reply.status < 500 or is_last):
                    return self._judged(reply, may_be_done=may_be_done)
                if is_last:
                    self._refuse_for_haste(may_be_done=may_be_done)
            self._sleep(pause)

    def _is_last(self, failures: int, pause: float) -> bool:
        return failures >= TRIES or self._clock() + pause >= self._until

    def _refuse_for_haste(self, *, may_be_done: bool) -> NoReturn:
        if may_be_done:
            raise NotDone(f"{self.url} broke off, and says since then that we ask too often", Exit.UNCERTAIN)
        raise NotDone(f"{self.url} says that we ask too often; nothing was done, try again in some minutes", Exit.FULL)

    def _judged(self, reply: Reply, *, may_be_done: bool) -> Reply:
        if reply.status == 200:
            return reply
        code = one_line(str(reply.body.get("errcode", "")), _SHOWN)
        if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
            raise NotDone(
                f"{self.url} does not accept this login (any more); make a new one with cchat login", Exit.LOGIN
            )
        if reply.status >= 500 or not code:
            raise NotDone(
                f"{self.url} answers with HTTP {reply.status}; is the address right, and the homeserver well?",
                Exit.UNCERTAIN if may_be_done else Exit.UNREACHABLE,
            )
        said = one_line(str(reply.body.get("error", "")), _SHOWN)
        raise MatrixSaysNo(f"{code}: {said}" if said else code, _EXITS.get(code, Exit.FAILED))


class MatrixSaysNo(NotDone):
    """The homeserver will not do it."""
