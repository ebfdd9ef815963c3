"""/approve and /deny: answer the oldest open question of the room in words."""

from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.effects import DecideApproval, Effect
from aiagentchat.render import words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Run, reply


def approve_command(desk: Desk) -> BotCommand:
    """Allows it once."""
    return BotCommand(
        name="approve",
        usage="/approve",
        summary="allows what the agent asks for, once",
        role=Role.USER,
        run=_answer(desk, ApprovalState.ALLOWED),
    )


def deny_command(desk: Desk) -> BotCommand:
    """Denies it; the agent reads the reason."""
    return BotCommand(
        name="deny",
        usage="/deny reason",
        summary="denies it; the agent reads the reason",
        role=Role.USER,
        run=_answer(desk, ApprovalState.DENIED),
    )


def _answer(desk: Desk, state: ApprovalState) -> Run:
    async def run(asked: Asked) -> list[Effect]:
        waiting = await desk.approvals.open_in(asked.room.id)
        if not waiting:
            return reply(asked.event, words.NO_APPROVAL_OPEN)
        by, reason = asked.event.sender, asked.arguments
        allowed = state is ApprovalState.ALLOWED
        text = words.approval_allowed(by) if allowed else words.approval_denied(by, reason)
        decision = DecideApproval(approval=waiting[0].id, state=state, by=by, reason=reason)
        return [decision, *reply(asked.event, text)]

    return run
