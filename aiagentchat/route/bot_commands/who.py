"""/who and /whoami: who may do what in this room, and why, and which other agents there are."""

from aiagentchat.core.effects import Effect
from aiagentchat.render import registry_words, words
from aiagentchat.route.access import Role, role_of
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply


def who_command(desk: Desk) -> BotCommand:
    """Names everybody who has a role, and what gives it; then the instances of the registry, from memory."""

    async def run(asked: Asked) -> list[Effect]:
        room, roles = asked.room, asked.roles
        may = words.WhoMay(
            admins=sorted(room.admins),
            users=sorted(room.users),
            viewers=sorted(room.viewers),
            grants=[*roles.grants.values()],
            needed=roles.all_needed(),
        )
        told = [words.who(may, desk.clock.now_ms())]
        if (directory := desk.directory) is not None and len(there := directory.entries()) > 1:
            told.append(registry_words.instances(there, directory.own, directory.now()))
        return reply(asked.event, "\n\n".join(told))

    return BotCommand(
        name="who",
        usage="/who",
        summary="says who may do what here, and which agents there are",
        role=Role.VIEWER,
        run=run,
        takes=Takes.NOTHING,
    )


def whoami_command(desk: Desk) -> BotCommand:
    """Says what whoever asks may do, and why."""

    async def run(asked: Asked) -> list[Effect]:
        roles, user = asked.roles, asked.event.sender
        role = roles.of(user)
        assert role is not None, "somebody without a role uses no bot command"
        standing = words.Standing(
            user=user,
            role=role,
            listed=role_of(user, asked.room),
            by_rule=roles.is_by_rule(user),
            grant=roles.grants.get(user),
            power=roles.power(user),
            needed=roles.all_needed(),
        )
        return reply(asked.event, words.whoami(standing, desk.clock.now_ms()))

    return BotCommand(
        name="whoami",
        usage="/whoami",
        summary="says what you may do here",
        role=Role.VIEWER,
        run=run,
        takes=Takes.NOTHING,
    )
