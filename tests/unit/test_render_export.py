"""A conversation as a file."""

from dataclasses import replace

import pytest

from aiagentchat.core.transcripts import Part, Piece
from aiagentchat.render import export
from aiagentchat.render.export import Head, Turn, markdown
from tests.fakes.people import ANNA

NOW = 1_700_000_000_000
HEAD = Head(session="tea", room="kitchen", now=NOW)


def piece(part: Part, text: str) -> Piece:
    return Piece(part=part, text=text)


TURN = Turn(by=ANNA, at=NOW, asked="make tea\n```", pieces=[])
FULL = replace(
    TURN,
    pieces=[
        piece(Part.SAID, "I \x1b[31mlook."),
        piece(Part.USED, "▸ Bash: `ls`"),
        piece(Part.USED, "▸ Read: `a`"),
        piece(Part.SAID, "Tea is ready."),
    ],
)


WHOLE = """\
# tea

Room `kitchen`, 2023-11-14 22:13 UTC: 1 turn, as the agent has written it down.

## `@anna:hs`, 2023-11-14 22:13 UTC

make tea
```
```

### agent

I look.

▸ Bash: `ls`\x20\x20
▸ Read: `a`

Tea is ready.
"""


def test_it_says_who_asked_what_and_all_that_followed() -> None:
    assert markdown(HEAD, [FULL]) == WHOLE


def test_a_turn_without_a_word_is_there() -> None:
    assert markdown(HEAD, [TURN]).endswith("make tea\n```\n```\n")


@pytest.mark.parametrize(("left_out", "said"), [(1, "1 turn was deleted"), (2, "2 turns were deleted")])
def test_what_was_deleted_is_counted(left_out: int, said: str) -> None:
    assert said in markdown(replace(HEAD, left_out=left_out), [TURN])


def test_a_missing_beginning_is_named() -> None:
    assert "beginning is missing" in markdown(replace(HEAD, is_cut=True), [TURN])
    assert "beginning is missing" not in markdown(HEAD, [TURN])


def test_of_what_is_too_much_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_BYTES", 300)
    said = markdown(HEAD, [replace(TURN, asked=f"{number} {'x' * 200}") for number in range(3)])

    assert "beginning is missing" in said
    assert ": 1 turn," in said
    assert "\n2 xxx" in said
