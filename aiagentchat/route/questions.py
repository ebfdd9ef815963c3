"""What follows from the answer to a question: by a reaction on it, or in words."""

from collections.abc import Sequence

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand, DecideApproval, Effect, OpenApproval, PutParcel
from aiagentchat.core.ids import ApprovalId, UserId, new_session_id, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import away, words
from aiagentchat.render.message import message
from aiagentchat.route import conversations
from aiagentchat.route.access import Role, Roles
from aiagentchat.route.bot_commands.spec import Desk, reply

OFFER_OPEN_MS = 24 * 3_600_000
"""How long messages that were not run can still be run by a yes."""
MOST_SHOWN = 5
"""Messages that an offer quotes; of more it says how many."""


async def hindered(desk: Desk, asked: Approval, user: UserId, roles: Roles) -> str | None:
    """Why `user`, who may run commands, may not answer `asked`; None if they may.

    What a turn asks is for whoever asked for the turn, and for admins. An offer is for everybody who may run commands:
    each of its messages is run as its author's, whose right is looked at when its turn starts.
    """
    if asked.kind is ApprovalKind.OFFER or roles.of(user) is Role.ADMIN:
        return None
    command = await desk.commands.get(asked.command)
    asker = None if command is None else command.sender
    return None if asker == user else words.not_yours_to_answer(asker)


async def answer(desk: Desk, asked: Approval, event: Incoming, *, allow: bool, reason: str = "") -> Sequence[Effect]:
    """What `event` brings about by answering `asked`, which is open."""
    if asked.kind is not ApprovalKind.TOOL and desk.clock.now_ms() >= asked.expires_at:
        return reply(event, away.QUESTION_TOO_OLD, key="answered")
    if asked.kind is ApprovalKind.RESUME and allow and await desk.commands.is_taken_up(asked.command):
        closed = DecideApproval(approval=asked.id, state=ApprovalState.DENIED, by=event.sender)
        return [closed, *reply(event, away.RUN_AGAIN_ALREADY, key="answered")]
    state = ApprovalState.ALLOWED if allow else ApprovalState.DENIED
    decided = DecideApproval(approval=asked.id, state=state, by=event.sender, reason=reason)
    match asked.kind, allow:
        case ApprovalKind.RESUME, True:
            return [decided, *await _resume(desk, asked, event)]
        case ApprovalKind.OFFER, True:
            return [decided, *await _run_offered(desk, asked, event)]
        case ApprovalKind.TOOL, _:
            return [decided]
        case _:
            return [decided, *reply(event, away.dropped(len(asked.events)), key="answered")]


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
    )
    return [AcceptCommand(resumed)]


async def _run_offered(desk: Desk, asked: Approval, event: Incoming) -> Sequence[Effect]:
    """In their order, as many as the queue holds; the others are offered once more."""
    said = [found for each in asked.events if (found := await desk.inbox.get(each)) is not None and found.body]
    free = await conversations.places_left(desk, event)
    effects: list[Effect] = [*await conversations.accept(desk, said[:free])]
    if said[free:]:
        effects += offer(desk, said[free:], asked.id)
    gone = len(asked.events) - len(said)
    return [*effects, *(reply(event, away.offer_erased(gone), key="answered") if gone else [])]


def offer(desk: Desk, said: Sequence[Incoming], *parts: str) -> list[Effect]:
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
    return [OpenApproval(approval), PutParcel(shown)]
