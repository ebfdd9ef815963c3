"""The ways of keeping a run in have an order."""

import pytest

from aiagentchat.core.isolation import LADDER, Isolation


@pytest.mark.parametrize(
    ("way", "minimum", "expected"),
    [
        pytest.param(Isolation.STRICT, Isolation.NONE, True, id="better"),
        pytest.param(Isolation.USERS, Isolation.USERS, True, id="the same"),
        pytest.param(Isolation.LANDLOCK, Isolation.USERS, False, id="less"),
    ],
)
def test_a_way_is_good_enough_or_not(way: Isolation, minimum: Isolation, expected: bool) -> None:
    assert way.is_at_least(minimum) is expected


def test_the_best_is_tried_first() -> None:
    assert LADDER == (Isolation.STRICT, Isolation.USERS, Isolation.LANDLOCK, Isolation.NONE)
