"""What a turn asks the room: each question is written down, waited for, and answered to the agent.

The turn's clock stands still while a question waits; the watch of the turn looks after it (`look`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from aiagentchat.core.agent_events import ApprovalAsked
from aiagentchat.core.approvals import Approval, ApprovalState, request_digest
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import ApprovalId, UserId, txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.agent import AgentRun
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Approvals, Outbox
from aiagentchat.execute.deadlines import TurnClock
from aiagentchat.execute.output import Output
from aiagentchat.render import words
from aiagentchat.render.approval import approval_text, request_text
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.split import split

ASK_USER = "AskUserQuestion"
"""The agent's own way to ask; denied until rooms can show choices."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the room is asked."""

    seconds: float
    """How long a question waits for its answer."""
    in_words: bool = False
    """Whether questions are answered in words alone."""
    admins: Sequence[UserId] = ()
    """Who may answer, beside whoever asked for the turn."""

    @property
    def minutes(self) -> int:
        """The same in words."""
        return max(1, round(self.seconds / 60))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that the turn waits for."""

    approval: Approval
    until: float
    """Monotonic seconds: a clock that is set meanwhile neither hurries nor delays anybody."""


@dataclass(slots=True, kw_only=True)
class Questions:
    """The open questions of one turn."""

    command: Command
    run: AgentRun
    output: Output
    manner: Manner
    approvals: Approvals
    outbox: Outbox
    clock: Clock
    turn: TurnClock
    resumed: Callable[[], None]
    """Told when the last question is answered, and the turn goes on."""
    _waiting: dict[str, Waiting] = field(default_factory=dict, init=False)
    _granted: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """With nothing asked yet."""
        self._granted = set(filter(None, self.command.granted.split(",")))

    @property
    def granted(self) -> str:
        """What was allowed before the turn began, and is not used up (`Command.granted`)."""
        return ",".join(sorted(self._granted))

    def left(self, now: float) -> float | None:
        """Seconds until the first question has waited too long; None while none waits."""
        return min((max(0.0, waiting.until - now) for waiting in self._waiting.values()), default=None)

    async def ask(self, event: ApprovalAsked) -> None:
        """Put the question of the agent to the room, unless it is answered already."""
        if event.tool == ASK_USER:
            await self.run.answer(event.request, allow=False, reason=words.ASK_IN_PLAIN_TEXT)
            return
        digest = request_digest(event.tool, event.input)  # of what it asks for, whatever of that is shown
        if digest in self._granted:
            # Allowed after a restart, for this request to the letter and for one time.
            self._granted.remove(digest)
            log.info("approval.granted", tool=event.tool)
            await self.run.answer(event.request, allow=True)
            return
        manner, now, shown = self.manner, self.clock.now_ms(), self.output.shown(event.input)
        approval = Approval(
            id=ApprovalId(txn_id(self.command.event, "approval", event.request)),
            room=self.command.room,
            command=self.command.event,
            tool=event.tool,
            expires_at=now + round(manner.seconds * 1000),
            digest=digest,
            shown=request_text(event.tool, shown),
        )
        started = self.clock.monotonic()
        self._waiting[event.request] = Waiting(approval, started + manner.seconds)
        self.turn.pause(started)
        who = words.approval_for(self.command.sender, manner.admins)
        text = approval_text(event.tool, shown, who=who, minutes=manner.minutes, in_words=manner.in_words)
        texts = [piece.text for piece in split(text, PAGE_BYTES)]
        parcels = [*self.output.break_off(), *self._question(approval, texts)]
        await self.approvals.ask(approval, parcels, now)
        log.info("approval.asked", approval=approval.id, tool=event.tool)

    def _question(self, approval: Approval, texts: Sequence[str]) -> list[Parcel]:
        """The pieces of a question; only the last one can be answered by a reaction."""
        return [
            Parcel(
                txn=txn_id(approval.id, "question", str(index)),
                room=approval.room,
                content=message(text, notice=False, reply_to=self.command.shown_at if index == 0 else None),
                command=self.command.event,
                approval=approval.id if index == len(texts) - 1 else None,
            )
            for index, text in enumerate(texts)
        ]

    async def withdrawn(self, request: str) -> None:
        """The agent does not wait for this answer any more."""
        waiting = self._waiting.pop(request, None)
        if waiting is not None:
            await self.approvals.close(waiting.approval.id, ApprovalState.WITHDRAWN)
            self._go_on()

    async def look(self) -> None:
        """Whether anything was answered, or has waited too long."""
        for request, waiting in list(self._waiting.items()):
            await self._look_at(request, waiting)

    async def _look_at(self, request: str, waiting: Waiting) -> None:
        approval = waiting.approval
        is_over = self.clock.monotonic() >= waiting.until
        if is_over and await self.approvals.close(approval.id, ApprovalState.EXPIRED):
            # Told first: with its answer the agent may end the turn, and the watch with it.
            notice = self._notice(approval, words.approval_expired(self.manner.minutes))
            await self.outbox.put([notice], self.clock.now_ms())
            await self._answer(request, allow=False, reason=words.NOT_ANSWERED)
            return
        current = await self.approvals.get(approval.id)
        if current is None or current.state is ApprovalState.OPEN:
            return
        log.info("approval.decided", approval=approval.id, state=current.state, by=current.decided_by)
        allowed = current.state is ApprovalState.ALLOWED
        await self._answer(request, allow=allowed, reason=words.denied_for_agent(current.decided_by, current.reason))

    def _notice(self, approval: Approval, text: str) -> Parcel:
        return Parcel(
            txn=txn_id(approval.id, "expired"),
            room=approval.room,
            content=message(text, notice=True),
            command=self.command.event,
        )

    async def _answer(self, request: str, *, allow: bool, reason: str) -> None:
        if self._waiting.pop(request, None) is not None:  # else it was withdrawn while we looked at it
            await self.run.answer(request, allow=allow, reason=reason)
            self._go_on()

    def _go_on(self) -> None:
        if not self._waiting:
            self.turn.resume(self.clock.monotonic())
            self.resumed()
