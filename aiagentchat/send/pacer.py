"""How fast an account may speak: a homeserver's limit, learned from what it lets through and what it refuses. Pure.

Synapse, as it is installed, lets a user send ten events at once and then one every five seconds, over all rooms; edits
and reactions count. What is sent beyond that is refused with the time to wait. The pacer keeps a bucket of its own in
step with the homeserver's:

- Unproven, as at every start: half of the bucket is kept for what somebody waits for, and more of it when more is owed,
  unless it is full for a while anyway. What somebody waits for is not held, because the limit may be a better one; but
  beyond the bucket it goes one by one.
- After a refusal: what somebody waits for is held as well, one for each token. Two minutes later it is tried again
  whether the limit is still there.
- Proven, after twenty sends within a minute: nothing is held until the next refusal.

Time is told in monotonic seconds, so a clock that is set does no harm.
"""

import math
from collections import deque
from dataclasses import dataclass

from aiagentchat.core.parcels import Urgency

BURST = 10
"""Events that an account may send at once, as far as is known."""
RATE = 0.2
"""Tokens a second: what Synapse gives where nobody has changed it."""
REFILL_SECONDS = BURST / RATE
"""After so long a silence the bucket is full."""
PROOF = 20
"""So many sends without a refusal …"""
PROOF_SECONDS = 60.0
"""… within so many seconds prove that there is no limit that we would notice."""
TRY_AGAIN_SECONDS = 120.0
"""How long after a refusal nothing is tried that the bucket does not cover."""
MARGIN_SECONDS = 0.1
"""How much longer than asked we wait: the homeserver's clock and ours are not in step."""
PROBE_SECONDS = 5.0
"""How long one parcel beyond the bucket keeps the next one waiting for its answer."""
FORESIGHT = 2
"""So many tokens are kept for each answer that is owed: whoever asks in several rooms is likely to ask again."""
UNUSED_SECONDS = 15.0
"""When the bucket has been full for so long, what it would gain is lost, and one token is free for anything."""
MODESTY = 3
"""So many tokens more than progress needs are left by what is nice to have, while several answers are owed."""
SLOWEST = 1 / 60
"""Tokens a second that we go down to, whatever a homeserver refuses."""
FASTEST = 50.0
"""Tokens a second that we go up to without proof."""
EARLY_GROWTH = 1.5
"""How much more is tried after something has passed that the bucket did not cover."""

_NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be sent now."""

    least: Urgency | None
    """What is less urgent has to wait; None: everything has."""
    seconds: float
    """After how long it may be more, if nothing else changes."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One send that was begun."""

    began: float
    is_early: bool
    """Whether the bucket did not cover it."""


class Pacer:
    """The bucket of one account."""

    def __init__(self, now: float, *, used: int = 0) -> None:
        """`used` is how many events were sent in the last REFILL_SECONDS by an earlier life."""
        self._tokens = max(0.0, float(BURST - used))
        self._counted_at = now
        self._full_since = now if self._tokens == BURST else math.inf
        self._rate = RATE
        self._closed_until = now
        self._refused_at: float | None = None
        self._passed: deque[float] = deque()
        self._passed_at = -math.inf
        self._last: Ticket | None = None
        """The send that was begun last, while it is on its way."""
        self.is_proven = False
        """Whether nothing is held."""
        self.is_limited = False
        """Whether the homeserver has refused something, and the bucket was not full since."""

    def permit(self, now: float, owed: int) -> Permit:
        """What may be sent now, when so many answers are owed to somebody."""
        self._refill(now)
        if now < self._closed_until:
            return Permit(None, self._closed_until - now)
        if self.is_proven:
            return Permit(Urgency.SPARE, math.inf)
        # Of the last one alone: an earlier one may be on its way for long, because its room does not answer.
        if self._tokens < 1 - _NEARLY and self._last is not None and now - self._last.began < PROBE_SECONDS:
            return Permit(None, self._last.began + PROBE_SECONDS - now)
        needs = self._needs(now, owed)
        least = min((urgency for urgency, tokens in needs.items() if self._tokens >= tokens - _NEARLY), default=None)
        missing = [tokens for urgency, tokens in needs.items() if least is None or urgency < least]
        return Permit(least, min((self._seconds_until(tokens, now) for tokens in missing), default=math.inf))

    def begin(self, now: float) -> Ticket:
        """One is sent."""
        self._refill(now)
        ticket = Ticket(now, is_early=self._tokens < 1 / 2)
        self._tokens = max(0.0, self._tokens - 1)
        self._full_since = math.inf
        self._last = ticket
        return ticket

    def end(self, ticket: Ticket) -> None:
        """One that was begun is over, however it ended."""
        if self._last is ticket:
            self._last = None

    def passed(self, now: float, ticket: Ticket) -> bool:
        """The homeserver has taken it. Returns whether that was the proof."""
        self._passed_at = now
        self._passed.append(now)
        while self._passed[0] < now - PROOF_SECONDS:
            self._passed.popleft()
        if ticket.is_early and self._refused_at is not None and not self.is_proven:
            self._rate = min(FASTEST, self._rate * EARLY_GROWTH)
        # What goes at the pace that was learned from a refusal proves nothing.
        if self.is_proven or self._is_strict(now) or len(self._passed) < PROOF:
            return False
        self.is_proven, self.is_limited = True, False
        return True

    def refused(self, now: float, ticket: Ticket, retry_after: float) -> bool:
        """The homeserver asks us to wait. Returns whether that was news."""
        self._closed_until = max(self._closed_until, now + retry_after + MARGIN_SECONDS)
        # At that moment the homeserver has one token for us.
        self._tokens, self._counted_at, self._full_since = 1.0, self._closed_until, math.inf
        if self._refused_at is not None and ticket.began <= self._refused_at:
            return False  # it was on the way when another one was refused
        if self.is_proven:
            # What it took in the last minute without what it may have saved up.
            self._rate = max(RATE, (len(self._passed) - BURST) / PROOF_SECONDS)
        if now - self._passed_at < 1 / self._rate:
            # None was left after the last one that passed, and the next one comes when the homeserver says.
            observed = 1 / max(1 / FASTEST, now + retry_after - self._passed_at)
            self._rate = max(SLOWEST, self._rate / 2, min(self._rate, observed))
        elif self._refused_at is not None and self._passed_at < self._refused_at:
            # Refused again although we waited: somebody else uses the account, too.
            self._tokens, self._rate = 0.0, max(SLOWEST, self._rate / 2)
        self._passed.clear()
        self._refused_at = now
        news = not self.is_limited
        self.is_proven, self.is_limited = False, True
        return news

    def _needs(self, now: float, owed: int) -> dict[Urgency, float]:
        """How many tokens there must be for each."""
        needed = 1.0 if self._is_strict(now) else 0.0
        progress = max(BURST / 2, float(FORESIGHT * owed)) + 1
        # When nobody waits for anything it harms nobody to find out whether there is a limit.
        spare = 0.0 if self._refused_at is None and not owed else progress + min(MODESTY, owed)
        if self._full_since + UNUSED_SECONDS <= now:
            progress, spare = min(progress, float(BURST)), min(spare, float(BURST))
        return {Urgency.SPARE: spare, Urgency.PROGRESS: progress, Urgency.NEEDED: needed}

    def _is_strict(self, now: float) -> bool:
        """Whether a refusal is so fresh that nothing is tried which the bucket does not cover."""
        return self._refused_at is not None and now - self._refused_at < TRY_AGAIN_SECONDS

    def _refill(self, now: float) -> None:
        if now > self._counted_at:
            self._tokens += (now - self._counted_at) * self._rate
            if self._tokens >= BURST:
                full_at = now - (self._tokens - BURST) / self._rate
                self._tokens, self._full_since = float(BURST), min(self._full_since, full_at)
            self._counted_at = now
        self.is_limited = self.is_limited and self._tokens < BURST

    def _seconds_until(self, tokens: float, now: float) -> float:
        if tokens <= BURST:
            return (tokens - self._tokens) / self._rate
        full_at = min(self._full_since, now + (BURST - self._tokens) / self._rate)
        return max(0.0, full_at + UNUSED_SECONDS - now)
