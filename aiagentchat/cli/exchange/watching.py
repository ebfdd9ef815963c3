"""`cchat watch` for people: what is said or deleted at once, and what an edited text reads once it has come to rest.

An answer is one message that is edited while it is written, every few seconds, and nothing tells which edit is its
last. So a text that does not change for a while is taken for whole; one that goes on is shown once more.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from queue import Empty, Queue

from aiagentchat.cli.exchange.wishes import Json

REST_SECONDS = 5.0
"""How long a text must not have changed: daemons edit every two seconds while they have something to say."""
MOST_WAITING = 100
"""Messages that are being edited; more are shown as they are."""
MOST_SHOWN = 1000
"""Messages of which we remember what we have shown."""
MOST_AHEAD = 100
"""Events that may wait to be looked at; then the stream waits."""


class Resting:
    """Decides what is shown, and when. Pure: the time is passed in."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, str] = OrderedDict()
        self._waiting: OrderedDict[str, tuple[float, Json]] = OrderedDict()
        """Messages that were edited, and when each has come to rest: the first one first."""

    def take(self, event: Json, now: float) -> list[Json]:
        """Something has happened: what is shown at once."""
        message: Json = event.get("data") or {}
        if "sender" not in message or "body" not in message:
            return []
        name = str(message.get("event_id"))
        self._waiting.pop(name, None)
        if self._shown.get(name) == message["body"]:
            return []
        if event.get("event") != "edited":
            return [self._show(message)]
        self._waiting[name] = (now + REST_SECONDS, message)
        return [self._show(self._waiting.popitem(last=False)[1][1])] if len(self._waiting) > MOST_WAITING else []

    def rested(self, now: float) -> list[Json]:
        """What is shown now because it has not changed for long enough."""
        due = [name for name, (at, _) in self._waiting.items() if at <= now]
        return [self._show(self._waiting.pop(name)[1]) for name in due]

    def rest(self) -> list[Json]:
        """What is still to be shown when nothing more comes."""
        return self.rested(float("inf"))

    def until(self, now: float) -> float | None:
        """In how many seconds there is something to show; None: not before something happens."""
        return max(0.0, next(iter(self._waiting.values()))[0] - now) if self._waiting else None

    def _show(self, message: Json) -> Json:
        name = str(message.get("event_id"))
        self._shown[name] = str(message["body"])
        self._shown.move_to_end(name)
        if len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        return message


def rested(events: Iterator[Json], clock: Callable[[], float]) -> Iterator[Json]:
    """The messages that are shown, when they are to be. Raises what `events` does, when all of that was shown."""
    resting, ahead = Resting(), Queue[Json | BaseException | None](MOST_AHEAD)
    threading.Thread(target=_pump, args=(events, ahead), daemon=True).start()
    while True:
        try:
            event = ahead.get(timeout=resting.until(clock()))
        except Empty:
            yield from resting.rested(clock())
            continue
        if event is None or isinstance(event, BaseException):
            yield from resting.rest()
            if event is None:
                return
            raise event
        yield from resting.rested(clock())
        yield from resting.take(event, clock())


def _pump(events: Iterator[Json], ahead: "Queue[Json | BaseException | None]") -> None:
    """Whoever waits for the next event cannot wait for anything else: so that is done in a thread of its own."""
    end: BaseException | None = None
    try:
        for event in events:
            ahead.put(event)
    except BaseException as error:  # noqa: BLE001 - whoever shows it raises it
        end = error
    ahead.put(end)
