"""The settings in force, which a reload replaces while turns go on."""

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from aiagentchat.config.load import load
from aiagentchat.config.made import with_made
from aiagentchat.config.reload import compare
from aiagentchat.config.secrets import Secrets, load_secrets
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AppError, ConfigError, IsolationRefused
from aiagentchat.core.ids import RoomId
from aiagentchat.core.redact import Redactor
from aiagentchat.core.rooms import Made, WaitingRoom
from aiagentchat.core.shapes import names_a_secret

REPORT = "reload.json"
"""In data_dir: what came of the last reload, for `aiagentchat reload` to print."""
MOST_LEARNED = 8
"""Secrets of one name that are hidden: the newest, and those of before, a key that was replaced, a login that has worn
off. The name of one that is renewed all the time pushes out no other."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Live:
    """Holds what is in force. Everybody asks it again for each command."""

    settings: Settings
    secrets: Secrets
    environ: Mapping[str, str]
    prepare: Callable[[Settings], Awaitable[Settings]] | None = None
    """Makes fresh settings usable (aliases, folders); set once there is a homeserver to ask. Raises ConfigError."""
    require_apart: Callable[[Settings], None] = lambda _settings: None
    """Raises IsolationRefused when there are more rooms than can be kept apart; set once isolation is chosen."""
    reloaded: Callable[[], Awaitable[None]] | None = None
    """Told of each reload that applies; set once there is a ledger."""
    made: Callable[[], Awaitable[Made]] | None = None
    """Which rooms were made in chat; set once there is a ledger to ask."""
    adopt: Callable[[WaitingRoom], Awaitable[None]] | None = None
    """Has what was kept of a room looked at again: the room is in config.yaml by now."""
    _learned: dict[str, deque[str]] = field(default_factory=dict, repr=False)
    _redactor: Redactor | None = field(default=None, repr=False)

    def redactor(self) -> Redactor:
        """Hides every secret that is known now."""
        if self._redactor is None:
            rooms = [pair for room in self.settings.rooms for pair in room.env if names_a_secret(pair[0])]
            learned = [(name, value) for name, values in self._learned.items() for value in values]
            self._redactor = Redactor([*self.secrets.known(), *rooms, *learned])
        return self._redactor

    def learn(self, name: str, value: str) -> None:
        """There is a secret that was not in the environment."""
        values = self._learned.setdefault(name, deque(maxlen=MOST_LEARNED))
        if value not in values:
            values.append(value)
            self._redactor = None

    def current(self) -> Settings:
        """The settings in force."""
        return self.settings

    def keeps(self, room: RoomId, encrypted: bool) -> bool:
        """Whether what is said in the room, encrypted or not, is kept to be found again."""
        found = self.settings.room(room)
        return found is not None and found.keeps_history(encrypted=encrypted)

    def credentials(self) -> Mapping[str, str]:
        """The environment variables that let the agent reach its model."""
        held = {
            "ANTHROPIC_API_KEY": self.secrets.anthropic_api_key,
            "ANTHROPIC_AUTH_TOKEN": self.secrets.anthropic_auth_token,
            "CLAUDE_CODE_OAUTH_TOKEN": self.secrets.claude_code_oauth_token,
        }
        values = {name: secret.reveal() for name, secret in held.items() if secret is not None}
        if self.secrets.anthropic_base_url is not None:
            values["ANTHROPIC_BASE_URL"] = self.secrets.anthropic_base_url
        return values

    async def refresh(self) -> None:
        """Which rooms were made in chat has changed: they are in force as the ledger has them now."""
        made = await self._read_made()
        try:
            self._put_in_force(self.settings, made)
        except IsolationRefused as error:
            log.error("room.left_out", problems=[str(error)])  # noqa: TRY400 - no bug, no traceback
        await self._adopt(made)

    async def _read_made(self) -> Made:
        """Whoever asks puts it in force before he waits for anything else: so the newest answer is the last."""
        return Made() if self.made is None else await self.made()

    def _put_in_force(self, settings: Settings, made: Made) -> None:
        whole, problems = with_made(settings, made)
        self.require_apart(whole)
        self.settings = whole
        self._redactor = None
        if problems:
            log.error("room.left_out", problems=problems)

    async def _adopt(self, made: Made) -> None:
        for waiting in made.waiting:
            if self.adopt is not None and self.settings.room(waiting.room) is not None:
                await self.adopt(waiting)

    async def reload(self) -> bool:
        """Read the file again: all of it applies, or nothing does and the log says why."""
        problems: list[str] = []
        try:
            fresh = load(self.settings.file, self.environ)
            problems = compare(self.settings, fresh)
            secrets = load_secrets(self.environ)
            if not problems:
                fresh = fresh if self.prepare is None else await self.prepare(fresh)
                for known in self.secrets.known():
                    self.learn(*known)  # a process that runs may still have it
                made = await self._read_made()
                self._put_in_force(fresh, made)
                self.secrets = secrets
                await self._adopt(made)
        except ConfigError as error:
            problems = error.problems
        except AppError as error:
            problems = [str(error)]
        try:
            _report(self.settings.data_dir, problems)
        except OSError as error:
            log.warning("config.report_not_written", error=str(error))
        if problems:
            log.error("config.reload_refused", problems=problems)
        else:
            log.info("config.reloaded", rooms=len(self.settings.rooms))
            if self.reloaded is not None:
                await self.reloaded()
        return not problems


def _report(data_dir: Path, problems: list[str]) -> None:
    number = time.time_ns()  # differs from that of every earlier life
    fresh = data_dir / f"{REPORT}.new"
    fresh.write_text(json.dumps({"number": number, "problems": problems}), encoding="utf-8")
    fresh.replace(data_dir / REPORT)


def last_report(data_dir: Path) -> tuple[int, list[str]]:
    """Number and problems of the last reload of this data_dir; (0, []) if there was none."""
    try:
        report = json.loads((data_dir / REPORT).read_text(encoding="utf-8"))
        return int(report["number"]), [str(problem) for problem in report["problems"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, []
