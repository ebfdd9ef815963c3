"""What follows from the answer to a question: by a reaction on it, or in words."""

from collections.abc import Sequence
from typing import assert_never

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, Picked, PlanAnswer
from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand, DecideApproval, Effect, OpenApproval, PutParcel
from aiagentchat.core.ids import ApprovalId, UserId, new_session_id, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import asking_words, away, words
from aiagentchat.render.marks import YES_OR_NO, taps
from aiagentchat.render.message import message
from aiagentchat.route import answers, conversations, tasks
from aiagentchat.route.access import Role, Roles
from aiagentchat.route.answers import Answer, No, Unclear, Yes
from aiagentchat.route.bot_commands.spec import Desk, reply
from aiagentchat.route.decide import AnswerApproval, AnswerInWords

OFFER_OPEN_MS = 24 * 3_600_000
"""How long messages that were not run can still be run by a yes."""
MOST_SHOWN = 5
"""Messages that an offer quotes; of more it says how many."""


async def hindered(desk: Desk, asked: Approval, user: UserId, roles: Roles) -> str | None:
    """Why `user`, who may run commands, may not answer `asked`; None if they may.

    What a turn asks is for whoever asked for the turn, and for admins; where a program has asked, which can answer
    nothing, for every person who may run commands. An offer is for everybody who may run commands: each of its messages
    is run as its author's, whose right is looked at when its turn starts.
    """
    if asked.kind is ApprovalKind.OFFER or roles.of(user) is Role.ADMIN:
        return None
    command = await desk.commands.get(asked.command)
    if command is not None and command.is_of_program:
        return None
    asker = None if command is None else command.sender
    return None if asker == user else words.not_yours_to_answer(asker)


async def is_answer(desk: Desk, event: Incoming, reply_: AnswerInWords, roles: Roles) -> bool:
    """Whether a reply answers a question, and is no message as any other.

    What somebody has to say who may not answer is no answer, unless it can be nothing else: then they are told.
    """
    target, said = reply_.target, reply_.said
    parcel = await desk.outbox.parcel_of(target)
    if parcel is None or parcel.approval is None or parcel.room != event.room:
        return False
    asked = await desk.approvals.get(parcel.approval)
    if asked is None or asked.state is not ApprovalState.OPEN:
        return answers.is_one_word(said)  # it comes too late, and whoever wrote it is told
    if answers.in_words(asked, said) is None:
        return False
    return answers.is_one_word(said) or await hindered(desk, asked, event.sender, roles) is None


async def heard(
    desk: Desk, asked: Approval, event: Incoming, decision: AnswerApproval | AnswerInWords
) -> Answer | None:
    """What a reaction or a reply says to `asked`; None: nothing (yet)."""
    match decision:
        case AnswerApproval(target, key):
            ticked = await desk.inbox.reactions(target, event.sender) if asked.many else []
            return answers.by_reaction(asked, key, ticked)
        case AnswerInWords(said=said):
            return answers.in_words(asked, said)
        case _:
            assert_never(decision)


async def answer(
    desk: Desk, asked: Approval, event: Incoming, given: Answer, *, in_words: bool = True
) -> Sequence[Effect]:
    """What `event` brings about by answering `asked`, which is open. Words are answered; a reaction is seen anyway."""
    if isinstance(given, Unclear):
        return reply(event, given.told, key="answered")
    effects = await _answered(desk, asked, event, given)
    lasts = isinstance(given, Yes) and given.always
    if not asked.kind.in_turn or not (in_words or lasts):
        return effects
    return [*effects, *reply(event, _echo(asked, event.sender, given))]


def _echo(asked: Approval, by: UserId, given: Yes | No) -> str:
    match asked.kind, given:
        case ApprovalKind.CHOICE, Yes(picked=Picked(numbers, text)):
            return asking_words.answered_with(by, [asked.options[number - 1] for number in numbers] or [text])
        case ApprovalKind.CHOICE, No(reason):
            return asking_words.not_answered_by(by, reason)
        case ApprovalKind.PLAN, Yes(picked=picked):
            accept_edits = picked is not None and PlanAnswer.ACCEPT_EDITS in picked.numbers
            return asking_words.plan_allowed(by, accept_edits=accept_edits)
        case ApprovalKind.PLAN, No(reason):
            return asking_words.plan_denied(by, reason)
        case _, No(reason):
            return words.approval_denied(by, reason)
        case _, Yes(always=True) if asked.rule is not None:
            return asking_words.allowed_always(by, asked.rule.shown)
        case _:
            return words.approval_allowed(by)


async def _answered(desk: Desk, asked: Approval, event: Incoming, given: Yes | No) -> Sequence[Effect]:
    allow = isinstance(given, Yes)
    if not asked.kind.in_turn and desk.clock.now_ms() >= asked.expires_at:
        return reply(event, away.QUESTION_TOO_OLD, key="answered")
    if asked.kind is ApprovalKind.RESUME and allow and await desk.commands.is_taken_up(asked.command):
        closed = DecideApproval(approval=asked.id, state=ApprovalState.DENIED, by=event.sender)
        return [closed, *reply(event, away.RUN_AGAIN_ALREADY, key="answered")]
    state = ApprovalState.ALLOWED if allow else ApprovalState.DENIED
    decided = DecideApproval(
        approval=asked.id,
        state=state,
        by=event.sender,
        reason="" if isinstance(given, Yes) else given.reason,
        picked=given.picked if isinstance(given, Yes) else None,
        always=isinstance(given, Yes) and given.always,
    )
    match asked.kind, allow:
        case ApprovalKind.RESUME, True:
            return [decided, *await _resume(desk, asked, event)]
        case ApprovalKind.OFFER, True:
            return [decided, *await _run_offered(desk, asked, event)]
        case ApprovalKind.RESUME | ApprovalKind.OFFER, _:
            return [decided, *reply(event, away.dropped(len(asked.events)), key="answered")]
        case _:
            return [decided]


async def _resume(desk: Desk, asked: Approval, event: Incoming) -> Sequence[Effect]:
    before = await desk.commands.get(asked.command)
    session = before.session if before is not None else await desk.sessions.current(event.room)
    resumed = Command(
        event=event.event,
        room=event.room,
        sender=event.sender,
        text=away.resumed_for_agent(asked.tool, asked.shown, "" if before is None else before.text),
        session=session or new_session_id(),
        queued_at=desk.clock.now_ms(),
        origin=asked.command,
        reply_to=asked.command,
        granted=asked.digest,
        thread=None if before is None else before.thread,
        meta=None if before is None else before.meta,
    )
    accepted = AcceptCommand(resumed)
    return [accepted if before is None else await tasks.again(desk, accepted, before)]


async def _run_offered(desk: Desk, asked: Approval, event: Incoming) -> Sequence[Effect]:
    """In their order, as many as the queue holds; the others are offered once more."""
    said = [found for each in asked.events if (found := await desk.inbox.get(each)) is not None and found.body]
    free = await conversations.places_left(desk, event)
    effects: list[Effect] = [*await conversations.accept(desk, said[:free])]
    if said[free:]:
        effects += await offer(desk, said[free:], asked.id)
    gone = len(asked.events) - len(said)
    return [*effects, *(reply(event, away.offer_erased(gone), key="answered") if gone else [])]


async def offer(desk: Desk, said: Sequence[Incoming], *parts: str) -> list[Effect]:
    """Ask whether `said`, which was not run, is to be run now. The same `parts` make the same offer."""
    first = said[0]
    approval = Approval(
        id=ApprovalId(txn_id(first.room, "offer", *parts)),
        room=first.room,
        command=first.event,
        tool="",
        expires_at=desk.clock.now_ms() + OFFER_OPEN_MS,
        kind=ApprovalKind.OFFER,
        events=tuple(each.event for each in said),
    )
    quoted = [away.Said(at=each.sent_at, by=each.sender, text=each.body) for each in said[:MOST_SHOWN]]
    shown = Parcel(
        txn=txn_id(approval.id, "question"),
        room=first.room,
        content=message(away.offer(quoted, len(said)), notice=False, reply_to=first.event if len(said) == 1 else None),
        approval=approval.id,
    )
    room = desk.settings().room(first.room)
    in_words = room is None or room.wants_words(encrypted=await desk.rooms.is_encrypted(first.room))
    tapped = [] if in_words else taps(shown, YES_OR_NO)
    return [OpenApproval(approval), *map(PutParcel, [shown, *tapped])]
