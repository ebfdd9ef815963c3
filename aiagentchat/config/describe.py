"""The settings in force, for a person: what `aiagentchat check` prints."""

from collections.abc import Iterator

import yaml

from aiagentchat.config.secrets import Secrets, missing_matrix_login, missing_model_key
from aiagentchat.config.settings import Settings
from aiagentchat.core.log_content import LogContent


def describe(settings: Settings, secrets: Secrets) -> str:
    """YAML with remarks. Which secrets were found is said, their values are not."""
    lines = [f"# {settings.file}"]
    for line in yaml.safe_dump(settings.effective(), sort_keys=False, allow_unicode=True, width=120).splitlines():
        computed = line.partition(":")[0] in settings.computed
        lines.append(f"{line}  # computed from this machine" if computed else line)
    lines += [f"# {remark}" for remark in _remarks(settings, secrets)]
    return "\n".join(lines) + "\n"


def _remarks(settings: Settings, secrets: Secrets) -> Iterator[str]:
    yield f"secrets found: {', '.join(secrets.found) or 'none'}"
    if secrets.anthropic_base_url:
        yield f"ANTHROPIC_BASE_URL: {secrets.anthropic_base_url}"
    yield from filter(None, (missing_matrix_login(secrets), missing_model_key(secrets)))
    if not settings.rooms:
        made = settings.admins or settings.template.admins or settings.dm != "off"
        yield "no rooms here: only those that are made in chat" if made else "no rooms: nothing will be answered"
    for room in settings.rooms:
        if room.log_content is not LogContent.NONE:
            yield f"{room.name}: what is said there is in the log (log_content: {room.log_content})"
        if not room.users | room.admins:
            yield f"{room.name}: nobody may use this room; add users or admins"
