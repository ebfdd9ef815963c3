"""/status: what this room is doing."""

from aiagentchat.config.settings import slug_wish
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import Effect
from aiagentchat.render import asking_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations, guarding
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply


def status_command(desk: Desk) -> BotCommand:
    """Looks at the queue, the session and the agent's process."""

    async def run(asked: Asked) -> list[Effect]:
        room, now = asked.room, desk.clock.now_ms()
        queue = await desk.commands.queue(room.id)
        running = next((command for command in queue if command.state is CommandState.RUNNING), None)
        health = await desk.health()
        heard = health.sync.heard_at
        slug = await desk.rooms.slug(room.id, slug_wish(room))
        status = words.Status(
            room=room.name,
            workspace=desk.settings().workspace_of(room, slug).name,
            agent=room.agent,
            model=await desk.rooms.model(room.id) or room.model,
            session=await _session(desk, asked),
            running_ms=None if running is None else now - (running.started_at or now),
            rest_ms=round(desk.rest(room.id) * 1000),
            queued=sum(command.state is CommandState.QUEUED for command in queue),
            warm=desk.is_warm(room.id),
            version=desk.version,
            uptime_ms=now - desk.started_at,
            held=desk.held,
            subscription_in_room=desk.subscription_in_room(),
            heard_ms=None if heard is None else round((desk.clock.monotonic() - heard) * 1000),
            failures=health.sync.failures,
            restarts=health.sync.restarts,
            unsent=health.send.waiting,
            limited=health.send.limited,
            stalled=health.store.trouble,
            stalls=health.store.stalls,
            draining=desk.is_draining(),
            sealed=health.seals.sealed,
            signed=health.seals.signed,
            gateway=health.gateway,
            agents=await guarding.lines(desk, room),
            allowed=asking_words.rules_listed(await desk.approvals.rules(room.id)),
        )
        return reply(asked.event, words.status_text(status))

    return BotCommand(
        name="status",
        usage="/status",
        summary="says what runs here and what waits",
        role=Role.VIEWER,
        run=run,
        takes=Takes.NOTHING,
        topic=Topic.WORK,
    )


async def _session(desk: Desk, asked: Asked) -> str | None:
    """What people know the conversation by."""
    current = await conversations.current(desk, asked.event)
    known = None if current is None else await desk.sessions.get(current)
    return known.name if known is not None else current and words.short(current)
