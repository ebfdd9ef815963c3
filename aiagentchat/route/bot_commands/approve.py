"""/approve and /deny: answer the oldest open question of the room in words, or the one that is named."""

import re
from collections.abc import Callable, Sequence

from aiagentchat.core.approvals import DIGEST_SHOWN, Approval, ApprovalKind, Picked, PlanAnswer
from aiagentchat.core.effects import Effect, EndRules
from aiagentchat.render import asking_words, away, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import answers, questions
from aiagentchat.route.access import Role
from aiagentchat.route.answers import Answer, No, Unclear, Yes
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Run, reply
from aiagentchat.route.catch_up import ANNOUNCE_AFTER_MS
from aiagentchat.route.refusals import refuse

NOTHING_MORE = "none"
"""`/approve none` takes back what was allowed for whole conversations."""

_REQUEST = re.compile(rf"([0-9a-f]{{{DIGEST_SHOWN},64}})(?:\s+|$)")
_BECAUSE = re.compile(r"because\b[\s:,]*", re.IGNORECASE)


def approve_command(desk: Desk) -> BotCommand:
    """Allows it once, or for as long as the conversation lasts; chooses; takes back."""
    answering = _answer(desk, _yes)

    async def run(asked: Asked) -> Sequence[Effect]:
        if asked.arguments.lower() != NOTHING_MORE:
            return await answering(asked)
        rules = await desk.approvals.rules(asked.room.id)
        ended = [EndRules(asked.room.id, asked.event.sender)] if rules else []
        return [*ended, *reply(asked.event, asking_words.rules_ended(len(rules)))]

    return BotCommand(
        name="approve",
        usage="/approve",
        summary="allows what the agent asks for, once (or `always`)",
        role=Role.USER,
        run=run,
        topic=Topic.QUESTIONS,
        examples=("/approve", "/approve always", "/approve 2", "/approve none"),
    )


def deny_command(desk: Desk) -> BotCommand:
    """Denies it; the agent reads the reason."""
    return BotCommand(
        name="deny",
        usage="/deny reason",
        summary="denies it; the agent reads the reason",
        role=Role.USER,
        run=_answer(desk, _no),
        topic=Topic.QUESTIONS,
        examples=("/deny", "/deny because it would delete the logs"),
    )


def _yes(question: Approval, said: str) -> Answer:
    match question.kind, said:
        case ApprovalKind.CHOICE, "":
            return Unclear(asking_words.CHOOSE_A_NUMBER)
        case ApprovalKind.PLAN, "":
            return Yes(picked=Picked((PlanAnswer.CARRY_OUT.value,)))
        case _, "":
            return Yes()
        case ApprovalKind.CHOICE, _:
            return answers.in_words(question, said) or Unclear(asking_words.APPROVE_FORMS)
        case _:
            # What is no yes to the letter may be meant otherwise.
            given = answers.in_words(question, said)
            return given if isinstance(given, Yes) else Unclear(asking_words.APPROVE_FORMS)


def _no(_: Approval, said: str) -> Answer:
    return No(_BECAUSE.sub("", said, count=1) if _BECAUSE.match(said) else said)


def _answer(desk: Desk, given: Callable[[Approval, str], Answer]) -> Run:
    async def run(asked: Asked) -> Sequence[Effect]:
        event = asked.event
        if event.late_ms >= ANNOUNCE_AFTER_MS:
            # Words are not bound to what was shown: since they were written, something else may have been asked.
            return reply(event, away.ANSWER_TOO_LATE)
        waiting = await _waiting(desk, asked)
        named, said = _named(waiting, asked.arguments)
        question, hindered = await _meant(desk, asked, named)
        if question is None:
            return reply(event, words.NO_APPROVAL_OPEN)
        shown, heard = await desk.outbox.shown_at(question.id), await desk.inbox.taken_at(event.event)
        if shown is None or (heard is not None and heard < shown):
            return reply(event, away.ANSWER_UNSEEN)
        if hindered is not None:
            return refuse(event, "answer", hindered)
        return await questions.answer(desk, question, event, given(question, said))

    return run


async def _waiting(desk: Desk, asked: Asked) -> list[Approval]:
    """What the agent waits for goes before what it was interrupted in. Offers are answered by reaction only."""
    waiting = await desk.approvals.open_in(asked.room.id)
    now = desk.clock.now_ms()
    resumes = [each for each in waiting if each.kind is ApprovalKind.RESUME and now < each.expires_at]
    return [*(each for each in waiting if each.kind.in_turn), *resumes]


def _named(waiting: Sequence[Approval], typed: str) -> tuple[Sequence[Approval], str]:
    """The questions that the first word names, and the words that follow it; else all of them, and all words."""
    match = _REQUEST.match(typed)
    named = [each for each in waiting if match is not None and each.digest.startswith(match[1])]
    return (named, typed[match.end() :]) if match is not None and named else (waiting, typed)


async def _meant(desk: Desk, asked: Asked, waiting: Sequence[Approval]) -> tuple[Approval | None, str | None]:
    """The oldest question that the sender may answer; without one, the oldest of all, and why they may not."""
    first: tuple[Approval | None, str | None] = None, None
    for each in waiting:
        hindered = await questions.hindered(desk, each, asked.event.sender, asked.roles)
        if hindered is None:
            return each, None
        first = first if first[0] is not None else (each, hindered)
    return first
