"""Ids that are computed are the same in every life; ids that are made are never the same."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import EventId, is_session_id, message_uuid, new_run_id, new_session_id, txn_id

PARTS = st.lists(st.text(st.characters(exclude_categories=(), exclude_characters="\0"), max_size=20), max_size=4)


def test_a_session_id_has_the_shape_of_one() -> None:
    assert is_session_id(new_session_id())
    assert not is_session_id("../../etc")
    assert not is_session_id(f"{new_session_id()}\n")


def test_a_transaction_id_is_the_same_in_every_life() -> None:
    assert txn_id("$event", "page", "0") == "d9dddf3bf8ce80833be5ac22e9399e49"


@given(PARTS, PARTS)
def test_other_parts_have_another_transaction_id(some: list[str], other: list[str]) -> None:
    assert (txn_id("$event", *some) == txn_id("$event", *other)) is (some == other)


def test_half_a_surrogate_pair_has_a_transaction_id() -> None:
    assert len(txn_id("\ud800")) == 32


def test_a_command_has_the_same_uuid_in_every_life() -> None:
    assert message_uuid(EventId("$event")) == "406a7320-9a27-55bc-aae6-c8238c5fd60f"


def test_a_command_that_is_asked_once_more_has_another_uuid_which_stays_the_same_too() -> None:
    asked = [message_uuid(EventId("$event"), attempt) for attempt in (0, 1, 2, 1)]

    assert asked[1] == asked[3]
    assert len(set(asked)) == 3


def test_every_event_has_its_own_uuid() -> None:
    assert message_uuid(EventId("$one")) != message_uuid(EventId("$two"))


def test_a_new_session_is_a_uuid_that_nobody_has() -> None:
    first, second = new_session_id(), new_session_id()

    assert str(uuid.UUID(first)) == first
    assert first != second


def test_a_new_run_is_one_that_nobody_has() -> None:
    assert new_run_id() != new_run_id()


@pytest.mark.parametrize("half", [("ab", "c"), ("a", "bc")])
def test_where_a_part_ends_makes_a_difference(half: tuple[str, str]) -> None:
    assert txn_id(*half) != txn_id("abc")
