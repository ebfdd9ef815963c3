"""The gateway of a daemon, asked over its socket or over 127.0.0.1.

A message has a key before it is sent for the first time, and the gateway takes a key once: so whatever breaks in
between (the daemon may be killed between its commit and its answer) is tried again, and nothing is said twice.
"""

import json
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from aiagentchat.cli.exchange.exits import BY_CODE, Exit, NotDone
from aiagentchat.cli.exchange.wire import Cut, NotConnected, Place, Reply, Wire, path
from aiagentchat.cli.exchange.wishes import NOTHING_SENT, Json, Search, Words
from aiagentchat.core.backoff import delay
from aiagentchat.core.exchange import OVER
from aiagentchat.core.meta import is_message_id
from aiagentchat.core.ports.clock import Random
from aiagentchat.render.hygiene import one_line, visible

TRIES = 3
"""So often is it tried while nothing was sent …"""
TRIES_IN_DOUBT = 8
"""… and so often once something may have arrived: a daemon that was killed needs a while to be back."""
MOST_HELD = 300
"""Seconds that one request waits for an answer; whoever wants to wait longer asks again."""
SILENCE_SECONDS = 60.0
"""Without a sign of life for so long, the stream of events is taken for dead. The gateway gives one every 15 s."""
_WORTH_SAYING = 2
"""Failures in a row: a daemon that is only started again is back by then."""
_SHOWN = 300
_OVER = frozenset(state.value for state in OVER)


class NobodyThere(NotDone):
    """Nobody listens at the gateway, and nothing was said through it: it may be said in another way."""


class _Busy(NotConnected):
    """Somebody is there, and takes nothing more at the moment."""


class Gateway:
    """Speaks, as one caller."""

    def __init__(
        self,
        where: Place,
        token: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Random = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._wire = Wire(where, token)
        self._sleep = sleep
        self._chance = chance
        self._clock = clock
        self.outage: Callable[[str], None] = lambda _: None
        """Hears why nothing can be heard at the moment, once in each outage."""
        self._has_said = False
        """Whether something that was to be said may have been taken."""

    def send(self, words: Words, key: str) -> Json:
        """Say something: the message. The same key says it no second time."""
        return self._do("POST", "/send", body=words.given(), key=key)

    def ask(self, words: Words, key: str, seconds: float) -> Json:
        """The same, and wait until it is answered, or for so long: the message as it is by then."""
        end = self._clock() + seconds
        message: Json = {}
        while True:
            held = max(0, min(MOST_HELD, int(end - self._clock())))
            try:
                message = self._do("POST", "/ask", body={**words.given(), "seconds": held}, key=key, hold=held)
            except NotDone as error:
                if "id" not in message:
                    raise
                raise self._alone(message, error) from error
            if message.get("state") in _OVER or end - self._clock() < 1:
                return message

    def given_up(self, key: str) -> str:
        """What to say to whoever does not wait for the answer any longer."""
        if not self._has_said:
            return NOTHING_SENT
        return (
            "the answer is not waited for any longer. What was sent stands: the same command with --key "
            f"{visible(key)} says nothing twice, and waits again"
        )

    def status(self, message: str) -> Json:
        """How far a message has come."""
        if not is_message_id(message):
            raise NotDone(
                f"{one_line(visible(message), _SHOWN) or 'an empty text'} is no id of a message; cchat send tells it",
                Exit.USAGE,
            )
        return self._do("GET", f"/status{path(message)}")

    def daemon(self) -> Json:
        """How the daemon is."""
        return self._do("GET", "/status")

    def read(self, room: str, *, limit: int, before: str | None) -> Json:
        """The last messages of a room: `messages` and `before`."""
        return self._do("GET", "/read", query={"room": room, "limit": limit, "before": before})

    def history(self, search: Search) -> Json:
        """Messages that are looked for: `messages` and `before`."""
        query = {
            "words": search.words or None,
            "room": search.room,
            "sender": search.sender,
            "kind": search.kind,
            "since": search.since,
            "until": search.until,
            "before": search.before,
            "limit": search.limit,
        }
        return self._do("GET", "/history", query=query)

    def who(self) -> Sequence[Json]:
        """Who is in the registry."""
        return _listed(self._do("GET", "/who"), "instances")

    def names(self, rooms: Collection[str]) -> Mapping[str, str]:  # noqa: ARG002 - they come together
        """What the caller's rooms are called in config.yaml."""
        found = _listed(self._do("GET", "/rooms/list"), "rooms")
        return {str(each.get("room_id")): str(each.get("name")) for each in found}

    def tasks(self, room: str | None, *, everything: bool) -> Sequence[Json]:
        """Tasks, the newest first."""
        return _listed(self._do("GET", "/tasks", query={"room": room, "all": everything or None}), "tasks")

    def task(self, task: str) -> Json:
        """What is known of a task."""
        for each in self.tasks(None, everything=True):
            if each.get("id") == task:
                return each
        raise NotDone(f"there is no task {visible(task)}; cchat tasks --all lists them", Exit.UNKNOWN)

    def assign(self, room: str, to: str, text: str, *, deadline: int | None, key: str) -> Json:
        """Give work to somebody: the task."""
        body = {"room": room, "to": to, "text": text, "deadline": deadline}
        return self._do("POST", "/tasks", body=body, key=key)

    def update(self, room: str | None, task: str, step: str, note: str) -> Json:
        """Say what has become of a task; without its room, that is looked up."""
        where = room if room and is_message_id(task) else str(self.task(task).get("room"))
        return self._do("PATCH", f"/tasks{path(task)}", body={"room": where, "step": step, "note": note})

    def events(self, rooms: Sequence[str], after: str | None) -> Iterator[Json]:
        """What is said, edited and deleted from now on, or after what was seen last.

        A connection that breaks is made again, for as long as a daemon may need to be back.
        """
        failures, patience = 0, TRIES - 1
        while True:
            try:
                for event in self._stream(rooms, after):
                    failures, patience = 0, TRIES_IN_DOUBT
                    # The gateway begins with the place alone: so what happens while we are away is not missed.
                    after = str(event.get("id") or after or "") or None
                    if "data" in event:
                        yield event
                failures += 1
            except (NotConnected, Cut) as error:
                failures += 1
                if failures > patience:
                    raise self._away(error) from error
                if failures == _WORTH_SAYING and patience == TRIES_IN_DOUBT:
                    self.outage(
                        f"nobody answers at {self._where.shown} any more ({error}); it is tried again for a while"
                    )
            self._sleep(delay(max(1, failures), self._chance))

    def _stream(self, rooms: Sequence[str], after: str | None) -> Iterator[Json]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        query = {"room": list(rooms)}
        with self._wire.lines("/events", query=query, headers=headers, silence=SILENCE_SECONDS) as (reply, lines):
            self._judged(reply)
            yield from parsed(lines)

    def _do(
        self,
        method: str,
        where: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
        hold: float = 0.0,
    ) -> Json:
        """Ask until there is an answer, as often as that is safe."""
        headers = {"Idempotency-Key": key} if key else {}
        is_safe = key is not None or method == "GET"
        in_doubt, failures = False, 0
        while True:
            had_said = self._has_said
            try:
                self._has_said = had_said or method != "GET"
                return self._judged(
                    _served(self._wire.ask(method, where, query=query, body=body, headers=headers, hold=hold))
                )
            except NotConnected as error:
                self._has_said = had_said
                failures += 1
                if failures >= (TRIES_IN_DOUBT if in_doubt else TRIES):
                    raise (self._unsure(error, key) if in_doubt else self._away(error)) from error
            except Cut as error:
                failures += 1
                in_doubt = method != "GET"
                if failures >= TRIES_IN_DOUBT or not is_safe:
                    raise (self._unsure(error, key) if in_doubt else self._away(error)) from error
            self._sleep(delay(failures, self._chance))

    def _judged(self, reply: Reply) -> Json:
        if 200 <= reply.status < 300:
            return reply.body
        said = one_line(str(reply.body.get("detail") or reply.body.get("title") or ""), _SHOWN)
        if reply.status == 401:
            raise NotDone(
                f"the gateway at {self._where.shown} does not accept the token; is it that of this daemon, and has it "
                "expired?",
                Exit.LOGIN,
            )
        exit_ = BY_CODE.get(str(reply.body.get("code", "")))
        if exit_ is not None and said:
            raise NotDone(said, exit_)
        if reply.status in (400, 413, 422):
            raise NotDone(said or f"the gateway does not understand the request (HTTP {reply.status})", Exit.USAGE)
        raise NotDone(
            f"the gateway at {self._where.shown} answers with HTTP {reply.status}{f': {said}' if said else ''}",
            Exit.FAILED,
        )

    def _away(self, error: Exception) -> NotDone:
        if isinstance(error, _Busy):
            return NotDone(
                f"the gateway at {self._where.shown} takes no more requests at the moment, so this one was not made; "
                "try it again later",
                Exit.UNAVAILABLE,
            )
        if self._has_said:
            return NotDone(f"nobody answers at {self._where.shown} any more ({error})", Exit.UNREACHABLE)
        return NobodyThere(
            f"nobody answers at {self._where.shown} ({error}), so nothing was sent; does the daemon run? "
            "aiagentchat doctor tells",
            Exit.UNREACHABLE,
        )

    def _alone(self, message: Json, error: NotDone) -> NotDone:
        """The message was taken, and whoever was to say what has become of it does not."""
        name = one_line(str(message["id"]), _SHOWN)
        return NotDone(
            f"message {name} was taken, and there was no answer yet when this came: {error}. cchat status {name} tells "
            "how far it is",
            Exit.NO_ANSWER,
        )

    def _unsure(self, error: Exception, key: str | None) -> NotDone:
        again = f"; the same command with --key {key} is taken once" if key else ""
        return NotDone(
            f"the gateway at {self._where.shown} broke off ({error}) and is not back: what was sent may have arrived"
            f"{again}",
            Exit.UNCERTAIN,
        )


def _served(reply: Reply) -> Reply:
    """The reply, if it is one: else it is as if nobody had been there, or the connection had been cut."""
    match reply.body.get("code"):
        case "busy":
            raise _Busy("it is busy")
        case "too_slow":
            raise Cut("it took too long")
        case _:
            return reply


def parsed(lines: Iterator[str]) -> Iterator[Json]:
    """Server-sent events: the data of each, with `id` and `event` where the stream names them; or an `id` alone."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if event := _event(fields):
                yield event
            fields = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value


def _event(fields: Mapping[str, str]) -> Json | None:
    if "data" not in fields:
        return {"id": fields["id"]} if "id" in fields else None
    try:
        data = json.loads(fields["data"])
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    return {"id": fields.get("id"), "event": fields.get("event", "message"), "data": data}


def _listed(answer: Json, name: str) -> Sequence[Json]:
    found = answer.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
