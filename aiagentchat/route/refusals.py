"""The one place where somebody is told that they may not."""

import structlog

from aiagentchat.core.effects import Effect
from aiagentchat.core.messages import Incoming
from aiagentchat.route.bot_commands.spec import refused, reply

log = structlog.get_logger(__name__)


def refuse(event: Incoming, what: str, text: str) -> list[Effect]:
    """`event` asked for `what`, which its sender may not have: nothing follows but `text`, which says so."""
    log.warning("access.refused", what=what, sender=event.sender)
    return [refused(event, what), *reply(event, text)]
