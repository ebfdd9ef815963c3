"""How fast an account may speak, told in seconds: what is held, for how long, and what is learned."""

import math
from typing import Any

import pytest

from aiagentchat.core.parcels import Urgency
from aiagentchat.send.pacer import (
    BURST,
    FORESIGHT,
    MARGIN_SECONDS,
    MODESTY,
    PROBE_SECONDS,
    PROOF,
    PROOF_SECONDS,
    RATE,
    SLOWEST,
    TRY_AGAIN_SECONDS,
    UNUSED_SECONDS,
    Pacer,
    Permit,
    Ticket,
)

SPARE, PROGRESS, NEEDED = Urgency.SPARE, Urgency.PROGRESS, Urgency.NEEDED
HALF = BURST // 2
TOKEN = 1 / RATE
"""Seconds."""


class Server:
    """A homeserver with a limit: a bucket that leaks, as Synapse counts."""

    def __init__(self, *, burst: float = BURST, rate: float = RATE, used: float = 0) -> None:
        self.burst, self.rate = burst, rate
        self.level, self.at = used, 0.0
        self.refusals: list[float] = []

    def take(self, now: float) -> float | None:
        """None when it takes one, else how long it asks to wait."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate)
        self.at = now
        if self.level > self.burst - 1:
            self.refusals.append(now)
            return (self.level - self.burst + 1) / self.rate
        self.level += 1
        return None


def send(pacer: Pacer, now: float, server: Server | None = None) -> bool:
    """One is sent and answered at once; whether it arrived."""
    ticket = pacer.begin(now)
    wait = None if server is None else server.take(now)
    pacer.end(ticket)
    if wait is None:
        pacer.passed(now, ticket)
        return True
    pacer.refused(now, ticket, wait)
    return False


def _proves(pacer: Pacer, now: float) -> bool:
    send(pacer, now)
    return pacer.is_proven


def shown(permit: Permit) -> tuple[Urgency | None, Any]:
    return permit.least, permit.seconds


def least(pacer: Pacer, now: float, owed: int = 1) -> Urgency | None:
    return pacer.permit(now, owed).least


def limited(now: float = 0.0, retry_after: float = 5.0) -> Pacer:
    """One that was refused something."""
    pacer = Pacer(now)
    for _ in range(BURST):
        send(pacer, now)
    ticket = pacer.begin(now)
    pacer.refused(now, ticket, retry_after)
    pacer.end(ticket)
    return pacer


def proven() -> Pacer:
    pacer = Pacer(0)
    for _ in range(PROOF):
        send(pacer, 0)
    assert pacer.is_proven
    return pacer


# ── unproven ──


def test_half_of_the_bucket_is_kept_for_what_is_needed() -> None:
    pacer, sent = Pacer(0), 0
    while least(pacer, 0) in (SPARE, PROGRESS):
        send(pacer, 0)
        sent += 1

    assert sent == HALF
    assert shown(pacer.permit(0, 1)) == (NEEDED, pytest.approx(TOKEN))


def test_more_of_the_bucket_is_kept_when_more_is_owed() -> None:
    most = (BURST - 1) // FORESIGHT

    assert least(Pacer(0), 0, owed=most) is PROGRESS
    assert least(Pacer(0), 0, owed=most + 1) is NEEDED


def test_a_bucket_that_is_full_for_a_while_gives_one_for_anything() -> None:
    pacer = Pacer(0)
    assert pacer.permit(0, 25) == Permit(NEEDED, UNUSED_SECONDS)
    assert least(pacer, UNUSED_SECONDS - 0.01, owed=25) is NEEDED
    assert least(pacer, UNUSED_SECONDS, owed=25) is SPARE
    send(pacer, UNUSED_SECONDS)

    assert shown(pacer.permit(UNUSED_SECONDS, 25)) == (NEEDED, pytest.approx(TOKEN + UNUSED_SECONDS))
    assert least(pacer, TOKEN + 2 * UNUSED_SECONDS - 0.01, owed=25) is NEEDED
    assert least(pacer, TOKEN + 2 * UNUSED_SECONDS, owed=25) is SPARE


def test_a_bucket_that_nobody_looks_at_fills_as_well() -> None:
    pacer = Pacer(0)
    send(pacer, 0)

    assert least(pacer, TOKEN + UNUSED_SECONDS + 0.01, owed=25) is SPARE


def test_what_is_nice_to_have_leaves_more_while_several_answers_are_owed() -> None:
    pacer = Pacer(0)
    allowed = []
    for owed in range(1, 6):
        allowed.append(least(pacer, 0, owed))
        send(pacer, 0)

    assert allowed == [SPARE, SPARE, PROGRESS, NEEDED, NEEDED]
    assert HALF + 1 + MODESTY < BURST


def test_what_is_needed_is_never_held_before_a_refusal() -> None:
    pacer = Pacer(0)
    for _ in range(PROOF - 1):
        assert least(pacer, 0, owed=25) is NEEDED
        send(pacer, 0)

    assert not pacer.is_proven


def test_progress_comes_back_with_the_tokens() -> None:
    pacer = Pacer(0)
    for _ in range(HALF):
        send(pacer, 0)
    wait = pacer.permit(0, 1).seconds

    assert least(pacer, wait - 0.01) is NEEDED
    assert least(pacer, wait) is PROGRESS


def test_when_nobody_waits_for_anything_nothing_is_held_before_a_refusal() -> None:
    pacer = Pacer(0)
    for _ in range(BURST + 3):
        send(pacer, 0)

    assert least(pacer, 0, owed=0) is SPARE
    assert least(pacer, 0, owed=1) is NEEDED


def test_what_an_earlier_life_used_is_missing() -> None:
    assert least(Pacer(0, used=HALF), 0) is NEEDED
    assert least(Pacer(0, used=1000), 0) is NEEDED
    assert least(Pacer(0, used=1000), (HALF + 1) * TOKEN) is PROGRESS


def test_beyond_the_bucket_one_waits_for_the_answer_of_the_one_before() -> None:
    pacer = Pacer(0)
    for _ in range(BURST):
        send(pacer, 0)
    ticket = pacer.begin(1)

    assert pacer.permit(2, 1) == Permit(None, PROBE_SECONDS - 1)
    assert least(pacer, 1 + PROBE_SECONDS) is NEEDED
    pacer.end(ticket)
    assert least(pacer, 2) is NEEDED


def test_within_the_bucket_they_go_side_by_side() -> None:
    pacer = Pacer(0)
    for _ in range(4):
        pacer.begin(0)

    assert least(pacer, 0) is PROGRESS


# ── limited ──


def test_after_a_refusal_nothing_goes_for_as_long_as_the_homeserver_asks() -> None:
    pacer = limited(retry_after=3)

    assert shown(pacer.permit(1, 0)) == (None, pytest.approx(2 + MARGIN_SECONDS))
    assert least(pacer, 3 + MARGIN_SECONDS) is NEEDED


def test_after_a_refusal_what_is_needed_goes_with_the_tokens() -> None:
    pacer, now = limited(retry_after=3), 3 + MARGIN_SECONDS
    for _ in range(3):
        send(pacer, now)
        assert shown(pacer.permit(now, 1)) == (None, pytest.approx(TOKEN))
        now += TOKEN
        assert least(pacer, now) is NEEDED


def test_after_a_refusal_half_is_kept_also_when_nobody_waits() -> None:
    pacer = limited()

    assert least(pacer, 5 + MARGIN_SECONDS + (HALF - 1) * TOKEN, owed=0) is NEEDED
    assert least(pacer, 5 + MARGIN_SECONDS + HALF * TOKEN, owed=0) is SPARE


def test_it_is_limited_until_the_bucket_is_full_again() -> None:
    pacer = limited()
    full = 5 + MARGIN_SECONDS + (BURST - 1) * TOKEN
    pacer.permit(full - 0.1, 0)
    assert pacer.is_limited

    pacer.permit(full, 0)
    assert not pacer.is_limited


def test_only_the_first_refusal_of_a_spell_is_news() -> None:
    pacer = Pacer(0)

    assert pacer.refused(0, pacer.begin(0), 5)
    assert not pacer.refused(10, pacer.begin(10), 5)
    pacer.permit(1000, 0)
    assert pacer.refused(1000, pacer.begin(1000), 5)


def test_refusals_of_what_was_on_the_way_together_are_one() -> None:
    pacer = limited(retry_after=3)
    late = Ticket(-0.1, is_early=False)
    assert not pacer.refused(0.2, late, 4)

    assert shown(pacer.permit(0.2, 1)) == (None, pytest.approx(4 + MARGIN_SECONDS))


def test_the_limit_is_tried_again_after_two_minutes() -> None:
    pacer, now = limited(), TRY_AGAIN_SECONDS - 0.01
    for _ in range(BURST):
        send(pacer, now)
    assert pacer.permit(now, 1).least is None

    assert least(pacer, TRY_AGAIN_SECONDS) is NEEDED


# ── what is learned ──


def test_twenty_within_a_minute_are_the_proof() -> None:
    pacer = Pacer(0)
    gap = PROOF_SECONDS / (PROOF - 1)
    proofs = [pacer.passed(number * gap, Ticket(0, is_early=False)) for number in range(PROOF + 1)]

    assert proofs == [False] * (PROOF - 1) + [True, False]
    assert pacer.permit(0, 1000) == Permit(SPARE, math.inf)


def test_twenty_in_more_than_a_minute_are_none() -> None:
    pacer = Pacer(0)
    gap = PROOF_SECONDS / (PROOF - 2)

    assert not any(pacer.passed(number * gap, Ticket(0, is_early=False)) for number in range(10 * PROOF))


def test_a_refusal_ends_the_proof_and_the_count_starts_again() -> None:
    pacer = proven()
    assert pacer.refused(0, pacer.begin(0), 1)
    assert not pacer.is_proven

    early = [_proves(pacer, TRY_AGAIN_SECONDS - 1 + number / 100) for number in range(2 * PROOF)]
    assert not any(early)
    assert _proves(pacer, TRY_AGAIN_SECONDS)
    assert not pacer.is_limited


@pytest.mark.parametrize(
    ("burst", "rate"), [(10, 0.2), (3, 0.1), (30, 1.0), (1, 0.2), (100, 5.0)], ids=lambda value: f"{value:g}"
)
def test_any_limit_is_learned_and_nearly_used(burst: float, rate: float) -> None:
    server, pacer = Server(burst=burst, rate=rate), Pacer(0)
    now, arrived, hour = 0.0, 0, 3600.0
    while now < hour:
        permit = pacer.permit(now, 25)
        if permit.least is None:
            now += max(permit.seconds, 0.001)
            continue
        arrived += send(pacer, now, server)
        now += 0.03

    assert arrived >= 0.85 * (burst + rate * hour)
    assert len(server.refusals) <= hour / 60


def test_one_that_never_ends_holds_up_only_the_next_one() -> None:
    pacer = Pacer(0)
    for _ in range(BURST):
        send(pacer, 0)
    pacer.begin(0)  # its room does not answer
    now = PROBE_SECONDS
    for _ in range(5):
        assert least(pacer, now) is NEEDED
        send(pacer, now)
        now += 0.01


def test_the_learned_rate_is_not_below_what_one_a_minute_is() -> None:
    pacer, now = Pacer(0), 0.0
    for _ in range(50):
        now += pacer.permit(now, 1).seconds if pacer.permit(now, 1).least is None else 0
        ticket = pacer.begin(now)
        pacer.refused(now, ticket, 0.5)
        pacer.end(ticket)

    assert pacer.permit(now, 1).seconds < 1 + 1 / SLOWEST
    assert pacer.permit(now + 1 + 1 / SLOWEST, 1).least is NEEDED


def test_a_limit_that_was_lifted_is_found_out() -> None:
    pacer, now = limited(), TRY_AGAIN_SECONDS + 1
    while not pacer.is_proven:
        permit = pacer.permit(now, 25)
        now += permit.seconds if permit.least is None else 0.03
        if permit.least is not None:
            send(pacer, now)

    assert now < TRY_AGAIN_SECONDS + 10


def test_five_rooms_with_five_answers_each_arrive_in_the_time_that_the_limit_leaves() -> None:
    server, pacer = Server(), Pacer(0)
    finals = [turn * 10.0 + room / 100 for turn in range(1, 6) for room in range(5)]
    now, done = 0.0, 0
    while done < len(finals):
        waiting = [moment for moment in finals[done:] if moment <= now]
        permit = pacer.permit(now, len(finals) - done)
        if waiting and permit.least is NEEDED:
            done += send(pacer, now, server)
            now += 0.03
        else:
            now = min(
                [now + max(permit.seconds, 0.01), *finals[done : done + 1]] if not waiting else [now + permit.seconds]
            )

    assert now <= 1.2 * (len(finals) - BURST) * TOKEN
    assert len(server.refusals) == 1


def test_an_idle_account_in_one_room_is_refused_nothing_for_its_progress() -> None:
    server, pacer, now = Server(), Pacer(0), 0.0
    while now < 600:
        if pacer.permit(now, 1).least in (SPARE, PROGRESS):
            send(pacer, now, server)
        now += 2

    assert server.refusals == []
    assert server.level <= HALF
