"""What a room reads after a time away."""

import os
import time
from collections.abc import Iterator

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.seals import WHY
from aiagentchat.render import away
from aiagentchat.render.away import Said

ANNA = UserId("@anna:hs")
TWO = 1_700_056_920_000
"""14:02 on a Wednesday in London."""
MINUTE = 60_000


@pytest.fixture(autouse=True)
def in_london(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "Europe/London")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_answers_to_one_day_are_announced_by_their_times() -> None:
    assert away.caught_up(3, TWO, TWO + 68 * MINUTE) == "I was away: answering 3 messages from 14:02–15:10."


def test_one_message_has_one_time() -> None:
    assert away.caught_up(1, TWO, TWO) == "I was away: answering 1 message from 14:02."


def test_more_than_a_day_has_its_weekdays() -> None:
    assert "from Wed 14:02–Thu 14:02" in away.caught_up(2, TWO, TWO + 24 * 60 * MINUTE)


def test_an_offer_quotes_each_message_so_that_it_cannot_look_like_anything_else() -> None:
    said = Said(at=TWO, by=ANNA, text="**rm** `x`\nand more")

    assert away.offer([said], 1) == (
        "I was away, and this was not run: too long ago, or more than the queue holds.\n\n"
        "- 14:02 `@anna:hs`: ``**rm** `x` and more``\n\n✅ runs it, ❌ drops it (or reply `yes` or `no`)."
    )


def test_an_offer_of_many_counts_the_rest() -> None:
    text = away.offer([Said(at=TWO, by=ANNA, text="x")], 9)

    assert "these 9 were not run" in text
    assert "- … and 8 more" in text
    assert text.endswith("✅ runs them in this order, ❌ drops them (or reply `yes` or `no`).")


def test_a_long_message_is_quoted_by_its_beginning() -> None:
    assert len(away.offer([Said(at=TWO, by=ANNA, text="x" * 1000)], 1)) < 400


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        pytest.param(
            away.interrupted(41_000), "Interrupted by a restart after 41.0 s; what it did is unknown", id="crash"
        ),
        pytest.param(away.interrupted(41_000), "`/retry` runs it again", id="what to do after a crash"),
        pytest.param(away.resume_question("`x`", ANNA), "nothing of it was run.\n\n`x`\n\nAsked for by", id="go on"),
        pytest.param(away.resume_question("`x`", ANNA), "admins of this room.\n\n✅ goes on", id="how to go on"),
        pytest.param(away.resumed_for_agent("Bash", "`x`", "make tea"), "permission to use Bash", id="the agent"),
        pytest.param(away.resumed_for_agent("Bash", "`x`", "make tea"), "`x`\n\nThe message", id="its request"),
        pytest.param(away.resumed_for_agent("Bash", "`x`", "make tea"), "working on:\n\nmake tea", id="its message"),
        pytest.param(away.resumed_for_agent("Bash", "`x`", ""), "(no longer known)", id="a message that is gone"),
        pytest.param(
            away.resume_question("Milk?", ANNA, asks_again=True),
            "✅ goes on, and the agent asks again",
            id="to choose",
        ),
        pytest.param(
            away.resumed_for_agent("AskUserQuestion", "Milk?", "make tea"), "Ask it again if", id="what it had asked"
        ),
        pytest.param(away.resumed_for_agent("AskUserQuestion", "Milk?", ""), "(no longer known)", id="what is gone"),
        pytest.param(
            away.resumed_for_agent("ExitPlanMode", "# Tea", "make tea"), "approved it: carry it out", id="its plan"
        ),
        pytest.param(away.resumed_for_agent("ExitPlanMode", "# Tea", ""), "The plan:\n\n# Tea", id="the plan itself"),
        pytest.param(away.dropped(0), "does not go on", id="dropped turn"),
        pytest.param(away.dropped(2), "2 messages will not be run", id="dropped offer"),
        pytest.param(away.offer_erased(1), "1 message is no longer here", id="one erased"),
        pytest.param(away.offer_erased(2), "2 messages are no longer here", id="two erased"),
        pytest.param(away.not_heard(TWO, TWO + MINUTE), "between 14:02 and 14:03", id="a gap"),
        pytest.param(away.not_heard(0, TWO), "written here before 14:02:", id="a gap of unknown length"),
        pytest.param(away.room_replaced(RoomId("!n:hs")), "replaced by `!n:hs`.", id="an upgrade"),
        pytest.param(away.room_replaced(None), "replaced. I", id="an upgrade to nowhere"),
        pytest.param(
            away.retrying(Said(at=TWO, by=ANNA, text="make tea"), CommandState.TIMED_OUT),
            "what timed out: 14:02 `@anna:hs`: `make tea`",
            id="a retry",
        ),
    ],
)
def test_each_sentence_says_what_happened(text: str, holds: str) -> None:
    assert holds in text


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            "m.unverified",
            "does not trust mine. Nothing of them was run. I have asked for the key, and answer as soon",
        ),
        ("m.no_olm", "could not build a connection to my device."),
        ("no_key", "the app did not give me the key, and said nothing about it."),
        ("unsigned_device", "I do not believe 2 messages of `@anna:hs`: the device that wrote them is not verified"),
        (
            "unheard_devices",
            "the homeserver has not told me yet which devices they have, so anybody may have written them",
        ),
        ("backup_only", "I have the key out of the backup only"),
        ("broken", "in a way that I do not know. Nothing of them was run. Another app, or a newer one,"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_reason(why: str, said: str) -> None:
    assert said in away.sealed(2, ANNA, why)


def test_there_are_words_for_every_reason() -> None:
    texts = {away.sealed(1, ANNA, why) for why in WHY}

    assert len(texts) == len(WHY)
    assert all(" 1 message of `@anna:hs`: " in text for text in texts)


def test_a_key_that_comes_too_late_is_told() -> None:
    assert "from 14:02 has come only now" in away.unsealed_too_late(ANNA, TWO)
