"""docs/reference/protocol.md, its schema and the code say the same."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # for this test alone

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, InstanceName, TxnId
from aiagentchat.core.meta import (
    AFTERWORD,
    LATEST,
    META_KEY,
    PREFIXED,
    STARTS,
    VERSION,
    Meta,
    MetaKind,
    NoMeta,
    Step,
    read_meta,
    written,
)
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.showing import Showing
from aiagentchat.render.agent_words import OUT_OF_TIME, agent_message, out_of_time, turned_down
from aiagentchat.send.answer import Answer
from aiagentchat.send.variants import AS_WRITTEN, content_of
from tests.fakes.people import command
from tests.unit.test_core_meta import CLAIMS, FULL, JSON, METAS

DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (DOCS / "protocol.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads((DOCS / "protocol.schema.json").read_text(encoding="utf-8"))
EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
VALIDATOR = Draft202012Validator(SCHEMA)
META = Draft202012Validator({"$ref": "#/$defs/meta", "$defs": SCHEMA["$defs"]})

ASKED: Command = command(meta=FULL)


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    part = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_there_is_an_example_of_every_kind() -> None:
    assert {example[META_KEY]["kind"] for example in EXAMPLES} == {kind.value for kind in MetaKind}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["body"][:30])
def test_every_example_is_valid_and_is_read(example: dict[str, Any]) -> None:
    VALIDATOR.validate(example)
    found = read_meta(example)
    assert isinstance(found, Meta)
    assert written(found) == example[META_KEY]
    new = example.get("m.new_content")
    assert new is None or new[META_KEY] == example[META_KEY]


def test_the_page_the_schema_and_the_code_know_the_same_keys() -> None:
    documented = [row[0].strip("`") for row in table("What a message says")]

    assert documented == list(SCHEMA["$defs"]["meta"]["properties"]) == list(written(FULL))
    assert len(documented) == len(fields(Meta)) + 1


def test_the_page_the_schema_and_the_code_know_the_same_kinds_and_states() -> None:
    properties = SCHEMA["$defs"]["meta"]["properties"]
    rows = {row[0].strip("`"): (row[1], row[2].strip("`")) for row in table("Kinds")}

    assert properties["version"]["const"] == VERSION
    assert properties["kind"]["enum"] == list(rows) == [kind.value for kind in MetaKind]
    assert {kind for kind, (begins, _) in rows.items() if begins == "yes"} == {kind.value for kind in STARTS}
    assert {kind: prefix for kind, (_, prefix) in rows.items() if prefix != "–"} == {
        kind.value: f"[{kind.upper()}]" for kind in PREFIXED
    }
    assert properties["state"]["enum"] == [step.value for step in Step]
    assert SCHEMA["$defs"]["count"]["maximum"] == LATEST
    assert f"from {AFTERWORD}" in PAGE
    assert OUT_OF_TIME in PAGE


@given(METAS)
def test_whatever_we_write_is_valid(meta: Meta) -> None:
    META.validate(written(meta))


@given(CLAIMS | JSON)
def test_whatever_the_schema_refuses_we_do_not_read(said: object) -> None:
    is_valid = META.is_valid(said)

    assert is_valid or isinstance(read_meta({META_KEY: said}), NoMeta)


def _sent(parcel: Parcel) -> dict[str, Any]:
    first = None if parcel.edits is None else EventId("$first")
    return json.loads(json.dumps(content_of(parcel, AS_WRITTEN, first=first)))  # type: ignore[no-any-return]


def test_what_we_send_is_valid() -> None:
    answer = Answer(ASKED, Showing(), InstanceName("attic"))
    answer.add("It listens on")
    parcels = answer.flush()
    answer.add(" 8443.")
    parcels += [*answer.close("", "— 2.1 s"), *turned_down(ASKED, "No."), *out_of_time(ASKED)]
    said = Parcel(txn=TxnId("t"), room=ASKED.room, content=agent_message("clean up", FULL))

    for parcel in (*parcels, said):
        VALIDATOR.validate(_sent(parcel))


@pytest.mark.parametrize(
    "wrong",
    [{"hop": 1.5}, {"hop": -1}, {"version": 2}, {"kind": "shout"}, {"to": "bot"}, {"id": "a b"}, {"last": "yes"}],
)
def test_the_schema_refuses_what_is_wrong(wrong: dict[str, object]) -> None:
    assert not META.is_valid(written(FULL) | wrong)
