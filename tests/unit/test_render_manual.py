"""Help and welcome are short, and name nobody so that it rings."""

import pytest

from aiagentchat.core.access import Role
from aiagentchat.core.ids import UserId
from aiagentchat.render import manual
from aiagentchat.render.manual import PEOPLE_GREETED, Entry, Topic
from aiagentchat.render.message import message

ANNA, BOB = UserId("@anna:hs"), UserId("@bob:hs")


def entry(usage: str, topic: Topic = Topic.ROOM, role: Role = Role.USER) -> Entry:
    return Entry(usage=usage, summary="does it", role=role, topic=topic, examples=(usage,))


def test_help_names_commands_by_topic_and_no_topic_without_one() -> None:
    text = manual.overview([entry("/who"), entry("/timeout +10m", Topic.WORK), entry("/stop", Topic.WORK)])

    assert "\n\n- while I work: `/timeout` `/stop`\n- this room: `/who`\n\n" in text
    assert "files" not in text


@pytest.mark.parametrize(
    ("role", "told"),
    [(Role.VIEWER, "everybody who is listed here"), (Role.USER, "users and admins"), (Role.ADMIN, "- For: admins")],
)
def test_a_command_is_explained_with_who_may_use_it(role: Role, told: str) -> None:
    assert told in manual.explained(entry("/who", role=role))


@pytest.mark.parametrize(
    ("people", "told"),
    [
        pytest.param([], "nobody yet", id="nobody"),
        pytest.param([ANNA], "for `@anna:hs`; ", id="one"),
        pytest.param([ANNA, BOB], "for `@anna:hs` and `@bob:hs`; ", id="two"),
        pytest.param([UserId("@*:hs")], "for everybody on `hs`; ", id="a whole server"),
        pytest.param([ANNA] * (PEOPLE_GREETED + 3), "`@anna:hs` and 3 more; ", id="many"),
    ],
)
def test_the_welcome_says_for_whom_it_is(people: list[UserId], told: str) -> None:
    assert told in manual.welcome("tea", people, only_to=None, asks=True)


def test_the_welcome_says_when_it_listens_and_whether_it_asks() -> None:
    always = manual.welcome("tea", [ANNA], only_to=None, asks=True)
    addressed = manual.welcome("tea", [ANNA], only_to=UserId("@aiagentchat:hs"), asks=False)

    assert "Hello! I run" in always
    assert "it asks here" in always
    assert "Hello! If you mention me or begin with `aiagentchat:`, I run" in addressed
    assert "it asks here" not in addressed


def test_the_welcome_rings_nobody() -> None:
    content = message(manual.welcome("tea", [ANNA], only_to=None, asks=True), notice=True)

    assert content["m.mentions"] == {}
    assert "matrix.to" not in content["formatted_body"]
