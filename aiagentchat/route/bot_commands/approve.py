"""/approve and /deny: answer the oldest open question of the room in words."""

from collections.abc import Sequence

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.effects import Effect
from aiagentchat.render import away, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import questions
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Run, reply
from aiagentchat.route.catch_up import ANNOUNCE_AFTER_MS
from aiagentchat.route.questions import answer
from aiagentchat.route.refusals import refuse


def approve_command(desk: Desk) -> BotCommand:
    """Allows it once."""
    return BotCommand(
        name="approve",
        usage="/approve",
        summary="allows what the agent asks for, once",
        role=Role.USER,
        run=_answer(desk, ApprovalState.ALLOWED),
        topic=Topic.QUESTIONS,
    )


def deny_command(desk: Desk) -> BotCommand:
    """Denies it; the agent reads the reason."""
    return BotCommand(
        name="deny",
        usage="/deny reason",
        summary="denies it; the agent reads the reason",
        role=Role.USER,
        run=_answer(desk, ApprovalState.DENIED),
        topic=Topic.QUESTIONS,
        examples=("/deny", "/deny because it would delete the logs"),
    )


def _answer(desk: Desk, state: ApprovalState) -> Run:
    async def run(asked: Asked) -> Sequence[Effect]:
        event = asked.event
        if event.late_ms >= ANNOUNCE_AFTER_MS:
            # Words are not bound to what was shown: since they were written, something else may have been asked.
            return reply(event, away.ANSWER_TOO_LATE)
        question, hindered = await _meant(desk, asked)
        if question is None:
            return reply(event, words.NO_APPROVAL_OPEN)
        shown, heard = await desk.outbox.shown_at(question.id), await desk.inbox.taken_at(event.event)
        if shown is None or (heard is not None and heard < shown):
            return reply(event, away.ANSWER_UNSEEN)
        if hindered is not None:
            return refuse(event, "answer", hindered)
        by, reason = event.sender, asked.arguments
        allowed = state is ApprovalState.ALLOWED
        effects = await answer(desk, question, event, allow=allowed, reason=reason)
        if question.kind is not ApprovalKind.TOOL:
            return effects
        return [*effects, *reply(event, words.approval_allowed(by) if allowed else words.approval_denied(by, reason))]

    return run


async def _meant(desk: Desk, asked: Asked) -> tuple[Approval | None, str | None]:
    """The oldest question that the sender may answer; without one, the oldest of all, and why they may not.

    What the agent waits for goes before what it was interrupted in. Offers are answered by reaction only.
    """
    waiting = await desk.approvals.open_in(asked.room.id)
    now = desk.clock.now_ms()
    tools = [each for each in waiting if each.kind is ApprovalKind.TOOL]
    resumes = [each for each in waiting if each.kind is ApprovalKind.RESUME and now < each.expires_at]
    first: tuple[Approval | None, str | None] = None, None
    for each in (*tools, *resumes):
        hindered = await questions.hindered(desk, each, asked.event.sender, asked.roles)
        if hindered is None:
            return each, None
        first = first if first[0] is not None else (each, hindered)
    return first
