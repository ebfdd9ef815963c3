"""What agents say about their messages: what is right is read, and nothing else, whoever has made it up."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import InstanceName, MessageId, TaskId, UserId
from aiagentchat.core.meta import (
    LATEST,
    META_KEY,
    MOST_USER,
    PREFIXED,
    STARTS,
    VERSION,
    Address,
    Meta,
    MetaKind,
    NoMeta,
    Read,
    Step,
    Typed,
    address,
    answering,
    has_meta,
    kept,
    prefixed,
    read_meta,
    recalled,
    typed,
    unprefixed,
    written,
)

BOT = UserId("@bot:example.org")
LEAST = {"version": 1, "id": "m1", "kind": "message"}
FULL = Meta(
    id=MessageId("m1"),
    kind=MetaKind.TASK,
    instance=InstanceName("workshop"),
    to=Address(BOT, InstanceName("attic.2")),
    in_reply_to=MessageId("m0"),
    task=TaskId("t1"),
    step=Step.PROGRESS,
    hop=2,
    budget=0,
    expires_at=1_700_000_000_000,
    part=3,
    last=False,
)


def read(**said: object) -> Read:
    """The meta with these keys, beside those that it must have."""
    return read_meta({META_KEY: {**LEAST, **said}})


def why(**said: object) -> str:
    found = read(**said)
    assert isinstance(found, NoMeta)
    return found.why


# ── what is right ──


def test_the_least_that_a_message_must_say() -> None:
    assert read() == Meta(id=MessageId("m1"))


def test_all_that_it_may_say() -> None:
    assert written(FULL) == {
        "version": 1,
        "id": "m1",
        "kind": "task",
        "instance": "workshop",
        "to": "@bot:example.org/attic.2",
        "in_reply_to": "m0",
        "task": "t1",
        "state": "progress",
        "hop": 2,
        "budget": 0,
        "expires_at": 1_700_000_000_000,
        "part": 3,
        "last": False,
    }
    assert read_meta({META_KEY: written(FULL)}) == FULL


def test_what_says_nothing_is_left_out() -> None:
    assert written(Meta(id=MessageId("m1"))) == LEAST


@pytest.mark.parametrize("kind", MetaKind)
@pytest.mark.parametrize("step", [None, *Step])
def test_every_kind_and_every_step_can_be_said(kind: MetaKind, step: Step | None) -> None:
    said = replace(FULL, kind=kind, step=step)

    assert read_meta({META_KEY: written(said)}) == said


def test_keys_that_nobody_knows_change_nothing() -> None:
    assert read(mood="good", cost=0.5, more={"nested": [None]}) == read()


def test_what_begins_a_turn_is_never_an_answer_to_one() -> None:
    assert {MetaKind.MESSAGE, MetaKind.TASK, MetaKind.QUESTION} == STARTS


def test_a_message_is_over_when_its_time_is_and_never_without_one() -> None:
    until = replace(FULL, expires_at=1000)

    assert [until.is_over(now) for now in (999, 1000, 1001)] == [False, False, True]
    assert not replace(FULL, expires_at=None).is_over(LATEST)


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True).map(InstanceName)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
USERS = st.from_regex(r"@[a-z0-9._=/+-]{1,20}:[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True).map(UserId)
INTEGERS = st.integers(0, LATEST)
METAS = st.builds(
    Meta,
    id=IDS.map(MessageId),
    kind=st.sampled_from(MetaKind),
    instance=st.none() | NAMES,
    to=st.none() | st.builds(Address, USERS, st.none() | NAMES),
    in_reply_to=st.none() | IDS.map(MessageId),
    task=st.none() | IDS.map(TaskId),
    step=st.none() | st.sampled_from(Step),
    hop=INTEGERS,
    budget=st.none() | INTEGERS,
    expires_at=st.none() | INTEGERS,
    part=INTEGERS,
    last=st.booleans(),
)


@given(METAS)
def test_what_is_written_is_read_as_it_was(meta: Meta) -> None:
    assert read_meta(json.loads(json.dumps({META_KEY: written(meta)}))) == meta


@given(METAS)
def test_whom_a_message_is_for_is_read_as_it_was_written(meta: Meta) -> None:
    assert meta.to is None or address(str(meta.to)) == meta.to


# ── what is not ──


@pytest.mark.parametrize("content", [{}, {"body": "hello"}, None, [], "text", 3])
def test_what_claims_nothing_is_no_meta_and_nothing_is_wrong_with_it(content: object) -> None:
    assert not has_meta(content)
    assert read_meta(content) == NoMeta()


@pytest.mark.parametrize("said", [None, [], "text", 3, True, [LEAST]])
def test_what_claims_to_be_one_and_is_no_object(said: object) -> None:
    assert has_meta({META_KEY: said})
    assert read_meta({META_KEY: said}) == NoMeta("it is no object")


@pytest.mark.parametrize("version", [VERSION + 1, 99, LATEST])
def test_another_version_is_ignored_whatever_it_says(version: int) -> None:
    assert read_meta({META_KEY: {"version": version, "id": ["?"]}}) == NoMeta()


@pytest.mark.parametrize("version", [None, 0, -1, True, 1.0, "1", [1], LATEST + 1])
def test_a_version_is_a_positive_integer(version: object) -> None:
    assert why(version=version) == "version is no positive integer"


def test_without_a_version_it_is_none() -> None:
    assert read_meta({META_KEY: {"id": "m1", "kind": "message"}}) == NoMeta("version is no positive integer")


@pytest.mark.parametrize("key", ["id", "kind"])
def test_it_must_say_what_it_is(key: str) -> None:
    said = {name: value for name, value in LEAST.items() if name != key}

    assert read_meta({META_KEY: said}) == NoMeta("id or kind is missing")


DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
NO_ID = ["", "a b", "a/b", "ä", "a\n", "a\0", "\ud83d", "x" * 65, 1, None, True, [], {}, DEEP]
NO_NAME = [*NO_ID, "Workshop", "-a", "a-", ".", "a:b", "@a"]
NO_INTEGER = [-1, 0.0, 1.5, float("nan"), float("inf"), LATEST + 1, 10**400, True, False, "1", None, [1], {}, DEEP]
NO_ADDRESS = [
    "",
    "bot",
    "bot:example.org",
    "@bot",
    "@:example.org",
    "@bot:",
    "@bot:example.org/",
    "@bot:example.org/Up",
    "@bot:example.org/a/b",
    "@bot: example.org",
    "@bo t:example.org",
    "@bot:example.org\n",
    "@bot\0:example.org",
    "@bot\u202e:example.org",
    "@bot\ud83d:example.org",
    " @bot:example.org",
    "@" + "x" * 256 + ":hs",
    "@" + "é" * 130 + ":hs",
    "@bot:hs/" + "x" * 65,
    1,
    None,
    True,
    ["@bot:example.org"],
    {"user": "@bot:example.org"},
    DEEP,
]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("id", NO_ID),
        ("in_reply_to", NO_ID),
        ("task", NO_ID),
        ("instance", NO_NAME),
        ("to", NO_ADDRESS),
        ("hop", NO_INTEGER),
        ("budget", NO_INTEGER),
        ("expires_at", NO_INTEGER),
        ("part", NO_INTEGER),
        ("kind", ["", "Task", "TASK", "shout", "\ud800", 1, None, True, ["task"], {}, DEEP]),
        ("state", ["", "Done", "assigned", "\ud800", 1, None, True, ["done"], {}, DEEP]),
        ("last", [0, 1, "true", None, [], 1.0, DEEP]),
    ],
)
def test_one_wrong_value_makes_it_none(key: str, values: list[object]) -> None:
    for value in values:
        assert why(**{key: value}) == f"{key} has the wrong shape", repr(value)[:80]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@bot:example.org", Address(BOT)),
        ("@bot:example.org/attic", Address(BOT, InstanceName("attic"))),
        ("@a/b:example.org:8448/attic", Address(UserId("@a/b:example.org:8448"), InstanceName("attic"))),
        ("@bot:[::1]", Address(UserId("@bot:[::1]"))),
        ("@" + "x" * (MOST_USER - 4) + ":hs", Address(UserId("@" + "x" * (MOST_USER - 4) + ":hs"))),
    ],
)
def test_whom_it_is_for_is_an_account_and_perhaps_one_of_its_instances(text: str, found: Address) -> None:
    assert address(text) == found


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["m1", "task", "done", "@bot:example.org", "@bot:example.org/attic", "\ud83d", "\0", 1, 2**53]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | JSON,
        "id": IDS | JSON,
        "kind": st.sampled_from([kind.value for kind in MetaKind]) | JSON,
        **dict.fromkeys(
            ("instance", "to", "in_reply_to", "task", "state", "hop", "budget", "expires_at", "part", "last"), JSON
        ),
    },
)


@given(CLAIMS | JSON)
def test_whatever_somebody_makes_up_is_one_or_none_and_can_be_kept(said: object) -> None:
    found = read_meta({META_KEY: said})

    text = kept(found)
    assert text is not None
    assert text.encode()
    assert recalled(text) == found


# ── what is kept, and what answers ──


@pytest.mark.parametrize("read", [None, FULL, NoMeta(), NoMeta("hop has the wrong shape")])
def test_what_a_ledger_keeps_comes_back_as_it_was(read: Read | None) -> None:
    assert recalled(kept(read)) == read


def test_what_a_ledger_keeps_of_a_meta_is_what_was_sent() -> None:
    assert json.loads(kept(FULL) or "") == written(FULL)


def test_an_answer_names_what_it_answers_and_goes_to_whoever_has_asked() -> None:
    anna = UserId("@anna:example.org")

    answer = answering(FULL, anna, id=MessageId("a1"), instance=InstanceName("attic"), part=2, last=False)
    assert answer == Meta(
        id=MessageId("a1"),
        kind=MetaKind.ANSWER,
        instance=InstanceName("attic"),
        to=Address(anna, InstanceName("workshop")),
        in_reply_to=MessageId("m1"),
        task=TaskId("t1"),
        hop=3,
        part=2,
        last=False,
    )


def test_no_answer_says_what_cannot_be_said() -> None:
    answer = answering(replace(FULL, hop=LATEST), BOT, id=MessageId("a1"), kind=MetaKind.REFUSED)

    assert read_meta({META_KEY: written(answer)}) == answer


# ── what people type ──


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("make tea", MetaKind.MESSAGE, "make tea"),
        ("", MetaKind.MESSAGE, ""),
        ("[TASK] @bot: clean up", MetaKind.TASK, "@bot: clean up"),
        ("[task] clean up", MetaKind.TASK, "clean up"),
        ("  [QUESTION]\nwho are you?", MetaKind.QUESTION, "who are you?"),
        ("[STATUS]: half done", MetaKind.STATUS, "half done"),
        ("[ANSWER]", MetaKind.ANSWER, ""),
        ("[ANSWER] 42\n", MetaKind.ANSWER, "42\n"),
        ("[REFUSED] no", MetaKind.MESSAGE, "[REFUSED] no"),
        ("[MESSAGE] hello", MetaKind.MESSAGE, "[MESSAGE] hello"),
        ("[TASK]list", MetaKind.MESSAGE, "[TASK]list"),
        ("[TASKS] list", MetaKind.MESSAGE, "[TASKS] list"),
        ("a [TASK] of mine", MetaKind.MESSAGE, "a [TASK] of mine"),
        ("[TASK] [QUESTION] which?", MetaKind.TASK, "[QUESTION] which?"),
        ("[TAſK] clean up", MetaKind.MESSAGE, "[TAſK] clean up"),
    ],
)
def test_a_prefix_says_what_a_person_means(body: str, kind: MetaKind, text: str) -> None:
    assert typed(body) == Typed(kind, text)


@pytest.mark.parametrize("kind", MetaKind)
def test_what_we_send_says_to_people_what_it_is(kind: MetaKind) -> None:
    said = prefixed(kind, "clean up")

    assert said == (f"[{kind.upper()}] clean up" if kind in PREFIXED else "clean up")
    assert prefixed(kind, said) == said
    assert unprefixed(kind, said) == "clean up"


@given(st.sampled_from(MetaKind), st.text())
def test_no_text_is_lost_by_its_prefix(kind: MetaKind, body: str) -> None:
    said = prefixed(kind, body)

    assert said.endswith(body)
    assert typed(said).kind is kind or kind not in PREFIXED


def test_a_prefix_of_another_kind_is_part_of_the_text() -> None:
    assert unprefixed(MetaKind.TASK, "[QUESTION] which?") == "[QUESTION] which?"
    assert prefixed(MetaKind.TASK, "[QUESTION] which?") == "[TASK] [QUESTION] which?"
