"""Rooms that were made in chat become rooms of the settings, beside those of config.yaml.

config.yaml stands above them. A room that it has is as it says there. It is asked each time who may do what in a room
that was made in chat: whoever it does not name any more has nothing left of what he had made. And a room that cannot
live beside those of config.yaml is left out.
"""

from collections.abc import Collection
from dataclasses import replace

from aiagentchat.config.fields import BYPASS
from aiagentchat.config.rooms import derived_name
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.config.workspaces import check_folders
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import UserId
from aiagentchat.core.rooms import Made, MadeRoom


def with_made(settings: Settings, made: Made) -> tuple[Settings, list[str]]:
    """`settings` with the rooms that were made in chat, whichever it has of them now, and why some are left out."""
    written = tuple(room for room in settings.rooms if room.made_by is None)
    ids = {room.id for room in written}
    names = {room.name for room in written}
    added = [_room(settings, each, made, names) for each in made.rooms if each.room not in ids]
    ids.update(each.room for each in made.rooms)
    taken = replace(settings, rooms=written, waiting=tuple(each for each in made.waiting if each.room not in ids))
    if (problem := _template_problem(settings)) is not None:
        return taken, [f"{room.source}: {problem}" for room in added]
    whole = replace(taken, rooms=(*written, *added))
    if not _problems(whole, made):
        return whole, []
    problems = []
    for room in added:
        fuller = replace(taken, rooms=(*taken.rooms, room))
        if found := _problems(fuller, made):
            problems += found
        else:
            taken = fuller
    return taken, problems


def _room(settings: Settings, made: MadeRoom, known: Made, names: Collection[str]) -> RoomSettings:
    template = settings.template
    slug = known.slugs.get(made.room, made.folder)
    users, admins, viewers = template.users, template.admins | settings.admins, template.viewers
    if made.direct:
        users, admins, viewers = frozenset[UserId](), frozenset[UserId](), frozenset[UserId]()
    if settings.may_make_rooms(made.by):
        admins |= {made.by}
    elif made.direct and settings.is_named(made.by):
        users |= {made.by}
    return replace(
        template,
        id=made.room,
        name=derived_name(made.room) if slug in names else slug,
        users=users,
        admins=admins,
        viewers=viewers,
        # In a direct chat nobody else can be meant.
        mention_only=template.mention_only and not made.direct,
        made_by=made.by,
        source=f"{made.room}, made in chat by {made.by}",
    )


def _template_problem(settings: Settings) -> str | None:
    """Why no room can be as `defaults` has it. For a room of config.yaml `load` says the same."""
    template = settings.template
    agent = settings.agents.get(template.agent)
    if agent is None:
        return f"no agent is called {template.agent}; set defaults.agent"
    if template.permission_mode == BYPASS and not agent.i_know_bypass_is_dangerous:
        return f"defaults.permission_mode is {BYPASS}, and agents.{template.agent} does not accept that"
    return None


def _problems(settings: Settings, made: Made) -> list[str]:
    try:
        check_folders(settings, made.slugs)
    except ConfigError as error:
        return error.problems
    return []
