"""A message in a thread, as the specification has it."""

from aiagentchat.core.ids import EventId
from aiagentchat.render.message import message
from aiagentchat.render.threads import in_thread

ROOT, ASKED = EventId("$root"), EventId("$asked")


def test_a_reply_stays_one_in_the_thread() -> None:
    said = message("hello", notice=False, reply_to=ASKED)

    assert in_thread(said, ROOT, after=EventId("$other")) == {
        **said,
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": ROOT,
            "is_falling_back": False,
            "m.in_reply_to": {"event_id": ASKED},
        },
    }


def test_what_is_no_reply_says_what_stands_before_it_for_clients_without_threads() -> None:
    said = message("hello", notice=True)
    relation = {"rel_type": "m.thread", "event_id": ROOT, "is_falling_back": True}

    assert in_thread(said, ROOT, after=ASKED)["m.relates_to"] == {**relation, "m.in_reply_to": {"event_id": ASKED}}
    assert in_thread(said, ROOT)["m.relates_to"] == {**relation, "m.in_reply_to": {"event_id": ROOT}}
