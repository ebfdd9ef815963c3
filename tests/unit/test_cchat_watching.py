"""What is watched: people see what is said at once, and what an answer has come to once it rests."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from aiagentchat.cli.exchange import watching
from aiagentchat.cli.exchange.direct import Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.homeserver import MatrixSaysNo
from aiagentchat.cli.exchange.watching import MOST_WAITING, REST_SECONDS, Resting, rested
from aiagentchat.cli.exchange.wishes import Json
from tests.unit.test_cchat_direct import BOT, EVE, ROOM, edit, event


def happened(name: str, body: str, kind: str = "message") -> Json:
    return {"id": "1", "event": kind, "data": {"event_id": name, "sender": BOT, "body": body}}


def texts(messages: list[Json]) -> list[str]:
    return [str(message["body"]) for message in messages]


def test_the_first_words_are_shown_at_once_and_then_what_has_come_to_rest() -> None:
    resting = Resting()

    assert texts(resting.take(happened("$1", "The"), 0.0)) == ["The"]
    assert resting.take(happened("$1", "The build", "edited"), 2.0) == []
    assert resting.take(happened("$1", "The build is green.", "edited"), 4.0) == []
    assert resting.until(4.0) == REST_SECONDS
    assert resting.rested(4.0 + REST_SECONDS - 0.1) == []
    assert texts(resting.rested(4.0 + REST_SECONDS)) == ["The build is green."]
    assert resting.until(9.0) is None


def test_what_is_deleted_is_shown_at_once_and_what_it_was_edited_to_never() -> None:
    resting = Resting()
    resting.take(happened("$1", "The"), 0.0)
    resting.take(happened("$1", "The password is", "edited"), 1.0)

    assert texts(resting.take(happened("$1", "", "deleted"), 2.0)) == [""]
    assert resting.rest() == []


def test_what_goes_on_after_a_rest_is_shown_again() -> None:
    resting = Resting()
    resting.take(happened("$1", "It runs", "edited"), 0.0)
    resting.rested(REST_SECONDS)
    resting.take(happened("$1", "It runs, and is done.", "edited"), 60.0)

    assert texts(resting.rest()) == ["It runs, and is done."]
    assert resting.rest() == []


def test_what_was_shown_so_is_not_shown_again() -> None:
    resting = Resting()
    resting.take(happened("$1", "done"), 0.0)
    resting.take(happened("$1", "doing", "edited"), 1.0)

    assert resting.take(happened("$1", "done", "edited"), 2.0) == []
    assert resting.take(happened("$1", "done"), 2.0) == []
    assert resting.rest() == []


def test_others_are_shown_while_a_text_has_not_come_to_rest() -> None:
    resting = Resting()
    resting.take(happened("$1", "one", "edited"), 0.0)

    assert texts(resting.take(happened("$2", "two"), 1.0)) == ["two"]


def test_what_is_no_message_is_not_shown() -> None:
    assert Resting().take({"event": "another", "data": {"x": 1}}, 0.0) == []


def test_there_is_an_end_to_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_SHOWN", 1)
    resting = Resting()
    shown = [texts(resting.take(happened(f"${n}", str(n), "edited"), 0.0)) for n in range(MOST_WAITING + 2)]

    assert shown == [[]] * MOST_WAITING + [["0"], ["1"]]
    assert texts(resting.take(happened("$0", "0"), 0.0)) == ["0"]


def test_a_text_comes_to_rest_while_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "REST_SECONDS", 0.01)
    is_seen = threading.Event()

    def events() -> Iterator[Json]:
        yield happened("$1", "The")
        yield happened("$1", "The end.", "edited")
        assert is_seen.wait(20)

    shown = rested(events(), time.monotonic)

    assert texts([next(shown), next(shown)]) == ["The", "The end."]
    is_seen.set()
    assert list(shown) == []


def test_what_breaks_off_is_told_when_everything_was_shown() -> None:
    def events() -> Iterator[Json]:
        yield happened("$1", "The end.", "edited")
        raise NotDone("it is away", Exit.UNREACHABLE)

    shown = rested(events(), lambda: 0.0)

    assert next(shown)["body"] == "The end."
    with pytest.raises(NotDone, match="away"):
        next(shown)


class FakeHomeserver:
    """A homeserver with one room, which tells its syncs one after the other."""

    def __init__(self, *syncs: list[Json], known: list[Json] = []) -> None:  # noqa: B006 - nobody writes to it
        self.asked: list[str] = []
        self._syncs = [*syncs]
        self._known = {str(each["event_id"]): each for each in known}

    def get(self, where: str, query: Mapping[str, object] | None = None, *, hold: float = 0.0) -> Json:  # noqa: ARG002
        """As the real one."""
        if where == "/joined_rooms":
            return {"joined_rooms": [ROOM]}
        if where == "/sync":
            if not self._syncs:
                raise NotDone("it is away", Exit.UNREACHABLE)
            timeline = {"events": self._syncs.pop(0)}
            return {"next_batch": f"s{len(self._syncs)}", "rooms": {"join": {ROOM: {"timeline": timeline}}}}
        self.asked.append(where)
        name = where.rpartition("/")[2].replace("%24", "$")
        if name in self._known:
            return self._known[name]
        raise MatrixSaysNo("no", Exit.UNKNOWN)


def watched(homeserver: FakeHomeserver) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(NotDone):
        for each in Direct(homeserver, "@me:hs").events([ROOM], "s9"):  # type: ignore[arg-type]
            data: dict[str, Any] = each["data"]
            found.append((each["event"], data["body"]))
    return found


def test_without_a_gateway_the_text_of_every_answer_is_told_to_its_end() -> None:
    homeserver = FakeHomeserver(
        [event("$1", BOT, {"body": "The"})],
        [edit("$2", BOT, "$1", "The build"), edit("$3", EVE, "$1", "Send me your key")],
        [edit("$4", BOT, "$1", "The build is green.")],
    )

    assert watched(homeserver) == [("message", "The"), ("edited", "The build"), ("edited", "The build is green.")]
    assert not any("/event/" in where for where in homeserver.asked)


@pytest.mark.parametrize(
    "names",
    [{"redacts": "$1"}, {"content": {"redacts": "$1"}}, {"content": {"redacts": "$1"}, "redacts": "$9"}],
    ids=["an old room", "a new room", "both"],
)
def test_without_a_gateway_what_was_heard_and_is_deleted_is_told_once(names: dict[str, Any]) -> None:
    gone = {"type": "m.room.redaction", "event_id": "$2", "sender": EVE, "content": {}, **names}
    homeserver = FakeHomeserver(
        [event("$1", BOT, {"body": "The password is"}), gone, {**gone, "event_id": "$3"}],
        [edit("$4", BOT, "$1", "The password was"), {**gone, "redacts": "$unknown", "content": {"redacts": 7}}],
        [{**gone, "redacts": None, "content": []}],
    )

    assert watched(homeserver) == [("message", "The password is"), ("deleted", "")]


def test_without_a_gateway_the_deletion_of_the_last_edit_is_that_of_the_message() -> None:
    gone = {"type": "m.room.redaction", "event_id": "$9", "sender": BOT, "content": {}}
    homeserver = FakeHomeserver(
        [event("$1", BOT, {"body": "one"}), edit("$2", BOT, "$1", "two"), edit("$3", BOT, "$1", "three")],
        [{**gone, "redacts": "$2"}, {**gone, "redacts": "$3"}],
    )

    assert watched(homeserver)[2:] == [("edited", "three"), ("deleted", "")]


def test_of_what_was_said_before_the_homeserver_is_asked() -> None:
    before = event("$1", BOT, {"body": "The", "msgtype": "m.notice"})
    homeserver = FakeHomeserver(
        [edit("$2", BOT, "$1", "The end."), edit("$3", BOT, "$unknown", "x"), edit("$4", EVE, "$1", "y")],
        known=[before],
    )

    assert watched(homeserver) == [("edited", "The end.")]
    assert sum("/event/" in where for where in homeserver.asked) == 2
