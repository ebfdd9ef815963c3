"""Every bot command there is."""

from collections.abc import Mapping

from aiagentchat.route.bot_commands.agent import agent_command
from aiagentchat.route.bot_commands.allow import allow_command
from aiagentchat.route.bot_commands.approve import approve_command, deny_command
from aiagentchat.route.bot_commands.cost import cost_command
from aiagentchat.route.bot_commands.diff import diff_command
from aiagentchat.route.bot_commands.export import export_command
from aiagentchat.route.bot_commands.files import files_command, get_command
from aiagentchat.route.bot_commands.forget import forget_command
from aiagentchat.route.bot_commands.go_on import continue_command
from aiagentchat.route.bot_commands.help import help_command
from aiagentchat.route.bot_commands.model import model_command
from aiagentchat.route.bot_commands.new_session import new_session_command
from aiagentchat.route.bot_commands.now import now_command
from aiagentchat.route.bot_commands.queue import queue_command
from aiagentchat.route.bot_commands.retry import retry_command
from aiagentchat.route.bot_commands.sessions import name_command, resume_command, sessions_command
from aiagentchat.route.bot_commands.setup import setup_command
from aiagentchat.route.bot_commands.spec import BotCommand, Desk
from aiagentchat.route.bot_commands.status import status_command
from aiagentchat.route.bot_commands.stop import stop_command
from aiagentchat.route.bot_commands.tasks import tasks_command
from aiagentchat.route.bot_commands.timeout import timeout_command
from aiagentchat.route.bot_commands.version import version_command
from aiagentchat.route.bot_commands.who import who_command, whoami_command


def catalog(desk: Desk) -> Mapping[str, BotCommand]:
    """The bot commands by name, in the order of /help."""
    others = [
        stop_command(desk),
        now_command(desk),
        queue_command(desk),
        tasks_command(desk),
        timeout_command(desk),
        retry_command(desk),
        diff_command(desk),
        cost_command(desk),
        status_command(desk),
        new_session_command(desk),
        sessions_command(desk),
        resume_command(desk),
        name_command(desk),
        export_command(desk),
        model_command(desk),
        agent_command(desk),
        files_command(desk),
        get_command(desk),
        approve_command(desk),
        deny_command(desk),
        continue_command(desk),
        whoami_command(desk),
        who_command(desk),
        allow_command(desk),
        forget_command(desk),
        setup_command(desk),
        version_command(desk),
    ]
    return {command.name: command for command in (help_command(others), *others)}
