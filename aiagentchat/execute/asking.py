"""What a turn asks the room: each question is written down, waited for, and answered to the agent.

The turn's clock stands still while a question waits; the watch of the turn looks after it (`look`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aiagentchat.core.agent_events import ApprovalAsked
from aiagentchat.core.approvals import (
    ASK_USER,
    LEAVE_PLAN,
    Approval,
    ApprovalKind,
    ApprovalState,
    Picked,
    PlanAnswer,
    Rule,
    request_digest,
    scope_of,
)
from aiagentchat.core.choices import Choice, Option, answer_of, answered, choices_in
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import ApprovalId, SessionId, UserId, txn_id
from aiagentchat.core.parcels import NUMBER_KEYS, Attachment, Parcel
from aiagentchat.core.ports.agent import AgentRun
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Approvals, Outbox
from aiagentchat.execute.deadlines import TurnClock
from aiagentchat.execute.output import Output
from aiagentchat.render import asking_words, guard_words, words
from aiagentchat.render.approval import (
    Asking,
    Question,
    WholeText,
    choice_question,
    choice_text,
    plan_question,
    plan_text,
    request_text,
    tool_question,
)
from aiagentchat.render.marks import taps
from aiagentchat.render.message import message
from aiagentchat.render.tools import tool_line

SHOWN_AS_QUESTIONS = frozenset({ASK_USER, LEAVE_PLAN})
"""Tools whose use is a question to the room, and no line of its own."""
TOOL_KEYS = ("✅", "♾️", "❌")
MANY_KEY = "✅"
"""What ends an answer of several numbers."""

MOST_OPEN = 16
"""Questions of a turn that wait at once …"""
MOST_ASKED = 100
"""… and that it may ask in all. Each is a message, and stops the turn's clock: whoever speaks in the agent's name could
fill a room with them, and never end."""
MOST_SECONDS = 12 * 3600.0
"""For how long they may keep the turn's clock standing, all together; a single one for as long as it may wait."""

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

    typing: Callable[[bool], None] = lambda _is: None
    """Told whether the room shows that the agent types: while a person is waited for it does not."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that the turn waits for."""

    asked: ApprovalAsked
    approval: Approval
    until: float
    """Monotonic seconds: a clock that is set meanwhile neither hurries nor delays anybody."""
    minutes: int
    """How long that is from when it was asked, as the room reads it."""
    choices: tuple[Choice, ...] = ()
    """What the agent asks the room, one after the other …"""
    answers: tuple[str, ...] = ()
    """… and what those before this one were answered with."""


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
    session: SessionId = field(init=False)
    """The conversation that the agent is in: what rules of it are good for."""
    _waiting: dict[str, Waiting] = field(default_factory=dict, init=False)
    _number: int = field(default=0, init=False)
    """How many were asked."""
    _is_full: bool = field(default=False, init=False)
    """Whether one was not asked, for there were too many."""
    _stood: float = field(default=0.0, init=False)
    """Seconds that they have taken, and …"""
    _since: float | None = field(default=None, init=False)
    """… since when the clock stands, in monotonic seconds; None: it goes. Between an answer and its being told to the
    agent no question waits, and the next one may be asked: the clock has stood all the time."""
    _granted: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """With nothing asked yet."""
        self.session = self.command.session
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
            choices = choices_in(event.input)
            if choices:
                await self._ask_to_choose(event, choices, ())
            else:
                await self.run.answer(event.request, allow=False, reason=words.ASK_IN_PLAIN_TEXT)
            return
        digest = request_digest(event.tool, event.input)  # of what it asks for, whatever of that is shown
        if digest in self._granted:
            # Allowed after a restart, for this request to the letter and for one time.
            self._granted.remove(digest)
            log.info("approval.granted", tool=event.tool)
            await self.run.answer(event.request, allow=True)
            return
        if event.tool == LEAVE_PLAN:
            await self._ask_about_plan(event, digest)
        else:
            await self._ask_about_tool(event, digest)

    async def _ask_about_tool(self, event: ApprovalAsked, digest: str) -> None:
        scope, rule = scope_of(event.tool, event.input)
        # Only of somebody who could answer here: whose turn it is, and whoever is an admin now.
        by = (self.command.sender, *self.manner.admins)
        used = await self.approvals.use_rule(self.session, rule, by, self.command.event, self.clock.now_ms())
        if used is not None:
            log.info("approval.not_asked", tool=event.tool, by=used.by)
            self.output.tool(asking_words.rule_used(used.by))
            await self.run.answer(event.request, allow=True)
            return
        shown = self.output.shown(event.input)
        named = tool_line(event.tool, shown).removeprefix("▸ ")
        approval = replace(
            self._approval(event, digest, shown=request_text(event.tool, shown)),
            rule=Rule(session=self.session, digest=rule, shown=named),
        )
        asking = self._asking(digest)
        question = tool_question(event.tool, shown, asking, scope=scope)
        await self._put(Waiting(event, approval, self._until(), asking.minutes), question, TOOL_KEYS)

    async def _ask_about_plan(self, event: ApprovalAsked, digest: str) -> None:
        shown = self.output.shown(event.input).get("plan")
        plan = shown if isinstance(shown, str) and shown.strip() else words.NOTHING
        approval = replace(self._approval(event, digest, shown=plan_text(plan)), kind=ApprovalKind.PLAN)
        asking = self._asking(digest)
        waiting = Waiting(event, approval, self._until(), asking.minutes)
        await self._put(waiting, plan_question(plan, asking), NUMBER_KEYS[: len(PlanAnswer)])

    async def _ask_to_choose(self, event: ApprovalAsked, choices: tuple[Choice, ...], answers: tuple[str, ...]) -> None:
        """One question after the other, each as a message of its own: so each is answered with one tap."""
        number = len(answers)
        choice = self._shown(choices[number])
        digest = request_digest(event.tool, event.input)
        approval = replace(
            self._approval(event, digest, str(number), shown=choice_text(choice)),
            kind=ApprovalKind.CHOICE,
            options=tuple(option.label for option in choice.options),
            many=choice.many,
        )
        keys = (*NUMBER_KEYS[: len(choice.options)], *((MANY_KEY,) if choice.many else ()))
        asking = self._asking(digest)
        question = choice_question(choice, asking, number=number + 1, of=len(choices))
        await self._put(Waiting(event, approval, self._until(), asking.minutes, choices, answers), question, keys)

    def _shown(self, choice: Choice) -> Choice:
        """As the room may see it."""
        shown = self.output.shown(
            {
                "question": choice.question,
                "header": choice.header,
                "options": [[option.label, option.description, option.preview] for option in choice.options],
            }
        )
        options = tuple(Option(label, description, preview) for label, description, preview in shown["options"])
        return replace(choice, question=shown["question"], header=shown["header"], options=options)

    def _approval(self, event: ApprovalAsked, digest: str, *parts: str, shown: str) -> Approval:
        """Named by what was asked, too: an answer is to that, whatever the agent calls by the same name later."""
        return Approval(
            id=ApprovalId(txn_id(self.command.event, "approval", event.request, digest, *parts)),
            room=self.command.room,
            command=self.command.event,
            tool=event.tool,
            expires_at=self.clock.now_ms() + round(self._patience() * 1000),
            digest=digest,
            shown=shown,
        )

    def _asking(self, digest: str) -> Asking:
        manner = self.manner
        who = guard_words.approval_for(self.command, manner.admins)
        minutes = max(1, round(self._patience() / 60))  # not the manner's: little may be left of what all may take
        return Asking(who=who, minutes=minutes, in_words=manner.in_words, digest=digest)

    def _until(self) -> float:
        return self.clock.monotonic() + self._patience()

    def _patience(self) -> float:
        """Seconds that one more question may wait."""
        seconds = self.manner.seconds
        stood = self._stood + (0.0 if self._since is None else self.clock.monotonic() - self._since)
        return max(0.0, min(seconds, max(seconds, MOST_SECONDS) - stood))

    def _may_ask(self, request: str) -> bool:
        is_open = len(self._waiting.keys() - {request}) < MOST_OPEN
        return is_open and self._number < MOST_ASKED and self._patience() > 0

    async def _put(self, waiting: Waiting, question: Question, keys: Sequence[str]) -> None:
        """Write it down, with the messages that show it."""
        approval, request = waiting.approval, waiting.asked.request
        if not self._may_ask(request):
            await self._refuse(approval, request)
            return
        if self._since is None:
            self._since = self.clock.monotonic()
        self._number += 1
        self._waiting[request] = waiting
        self.turn.pause(self.clock.monotonic())
        self.manner.typing(False)
        shown = Parcel(
            txn=txn_id(approval.id, "question", "0"),
            room=approval.room,
            content=message(question.text, notice=False, reply_to=self.command.shown_at),
            command=self.command.event,
            approval=approval.id,
        )
        whole = [] if question.file is None else [self._whole(approval, question.file)]
        tapped = [] if self.manner.in_words else taps(shown, keys)
        await self.approvals.ask(approval, [*self.output.break_off(), *whole, shown, *tapped], self.clock.now_ms())
        log.info("approval.asked", approval=approval.id, tool=approval.tool)
        if self._waiting.get(request) is not waiting:  # it was withdrawn before it was written down
            await self.approvals.close(approval.id, ApprovalState.WITHDRAWN)

    async def _refuse(self, approval: Approval, request: str) -> None:
        if not self._is_full:  # said once in a turn
            self._is_full = True
            log.warning("approval.too_many", tool=approval.tool)
        if request in self._waiting:
            await self._answer(request, allow=False, reason=asking_words.TOO_MANY)
        else:
            await self.run.answer(request, allow=False, reason=asking_words.TOO_MANY)

    def _whole(self, approval: Approval, file: WholeText) -> Parcel:
        """The file with all of what the question shows in part. It stands above, so that it is there when they read."""
        data = file.text.encode("utf-8", "replace")
        content: dict[str, Any] = {
            "msgtype": "m.file",
            "body": asking_words.file_caption(file.name),
            "filename": file.name,
            "info": {"mimetype": file.mime, "size": len(data)},
            "m.mentions": {},
        }
        return Parcel(
            txn=txn_id(approval.id, "whole"),
            room=approval.room,
            content=content,
            command=self.command.event,
            attachment=Attachment(data=data),
        )

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
            room, agent = _expired(approval.kind, waiting.minutes)
            await self.outbox.put([self._notice(approval, room)], self.clock.now_ms())
            await self._answer(request, allow=False, reason=agent)
            return
        current = await self.approvals.get(approval.id)
        if current is None or current.state is ApprovalState.OPEN:
            return
        log.info("approval.decided", approval=approval.id, state=current.state, by=current.decided_by)
        if current.state is not ApprovalState.ALLOWED:
            await self._answer(request, allow=False, reason=_denied(current))
        elif current.kind is ApprovalKind.CHOICE:
            await self._chosen(waiting, current.picked or Picked())
        else:
            accept_edits = PlanAnswer.ACCEPT_EDITS in (current.picked or Picked()).numbers
            await self._answer(request, allow=True, reason="", accept_edits=accept_edits)

    async def _chosen(self, waiting: Waiting, picked: Picked) -> None:
        """Ask the next question, or tell the agent all answers."""
        event, choices = waiting.asked, waiting.choices
        answers = (*waiting.answers, answer_of(choices[len(waiting.answers)], picked))
        if len(answers) == len(choices):
            told = answered(event.input, list(zip(choices, answers, strict=True)))
            await self._answer(event.request, allow=True, reason="", told=told)
        elif self._waiting.get(event.request) is waiting:  # else it was withdrawn while we looked at it
            await self._ask_to_choose(event, choices, answers)

    def _notice(self, approval: Approval, text: str) -> Parcel:
        return Parcel(
            txn=txn_id(approval.id, "expired"),
            room=approval.room,
            content=message(text, notice=True),
            command=self.command.event,
        )

    async def _answer(
        self,
        request: str,
        *,
        allow: bool,
        reason: str,
        told: Mapping[str, Any] | None = None,
        accept_edits: bool = False,
    ) -> None:
        waiting = self._waiting.pop(request, None)
        if waiting is not None:  # else it was withdrawn while we looked at it
            # What was asked about runs, and not what the agent may have put under the same name since.
            used = waiting.asked.input if told is None else told
            await self.run.answer(request, allow=allow, reason=reason, used=used, accept_edits=accept_edits)
            self._go_on()

    def _go_on(self) -> None:
        if not self._waiting and self._since is not None:
            self._stood += self.clock.monotonic() - self._since
            self._since = None
            self.turn.resume(self.clock.monotonic())
            self.manner.typing(True)
            self.resumed()


def _expired(kind: ApprovalKind, minutes: int) -> tuple[str, str]:
    """What the room and the agent read when nobody has answered."""
    match kind:
        case ApprovalKind.CHOICE:
            return asking_words.choice_expired(minutes), asking_words.NO_CHOICE_MADE
        case ApprovalKind.PLAN:
            return asking_words.plan_expired(minutes), asking_words.PLAN_NOT_ANSWERED
        case _:
            return words.approval_expired(minutes), words.NOT_ANSWERED


def _denied(approval: Approval) -> str:
    """What the agent reads when somebody has said no."""
    match approval.kind:
        case ApprovalKind.CHOICE:
            return asking_words.no_answer_for_agent(approval.decided_by, approval.reason)
        case ApprovalKind.PLAN:
            return asking_words.keep_planning(approval.decided_by, approval.reason)
        case _:
            return words.denied_for_agent(approval.decided_by, approval.reason)
