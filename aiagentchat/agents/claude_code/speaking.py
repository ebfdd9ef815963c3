"""How a run speaks with other agents: by tools, while a turn runs, in its own room and where that room reaches.

Whoever calls them is what runs in the room, the CLI or anything else that has found the way, and may say anything. So
nothing here is left to the permissions of the CLI: what goes elsewhere is asked of the room by us.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from aiagentchat.core.agent_events import SEND_FILE, room_tool
from aiagentchat.core.exchange import EVERYTHING, Caller, Scope
from aiagentchat.core.ids import CallerName
from aiagentchat.core.ports.agent import Prompt, RunSpec
from aiagentchat.core.ports.exchange import Exchange
from aiagentchat.core.redact import Redacting, shapes_only
from aiagentchat.exchange.tool_fields import WrongArgumentError
from aiagentchat.exchange.tool_words import NO_TURN
from aiagentchat.exchange.tools import ELSEWHERE, Audience, Desk, Given, Told, Where, call, listed, offered

SEND_ELSEWHERE = room_tool(ELSEWHERE)
AT_ONCE = 4
"""Tools that a run may use at the same moment: some of them wait for somebody."""
MOST_WRITTEN = 40
"""What one turn may say, ask or assign: what runs in a room can call as fast as it likes."""
MOST_ASKED = 10
"""Times that one turn may ask whether it may send elsewhere."""

_HERE = frozenset({Scope.READ, Scope.SEND})
"""Never `run`: what a run says in its own room must not begin a turn in it."""

_AT_ONCE = f"Nothing was done: use at most {AT_ONCE} of these tools at the same time."
_TOO_MUCH = f"Nothing was done: a turn sends at most {MOST_WRITTEN} messages. Go on in the next turn."
_ASKED_ENOUGH = "The room was asked often enough in this turn."

Permit: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[tuple[bool, str]]]
"""Asks the room whether a tool may be used so; whether it may, and why not."""


@dataclass(frozen=True, slots=True)
class Peers:
    """How runs reach others."""

    exchange: Exchange
    now_ms: Callable[[], int]
    redacting: Redacting = shapes_only
    """Hides the secrets that somebody may have written where a run can read it."""


def allowed_tools(spec: RunSpec) -> list[str]:
    """What the CLI asks nobody about: all of them, since what must be asked is asked by us."""
    speaking = [room_tool(name) for name in offered(audience_of(spec))] if spec.speaks else []
    return [SEND_FILE, *speaking]


def audience_of(spec: RunSpec) -> Audience:
    """Which tools the run has."""
    return Audience(is_run=True, reaches=bool(spec.reaches))


def caller_of(spec: RunSpec, prompt: Prompt) -> Caller:
    """Who asks while the turn of `prompt` runs."""
    return Caller(
        name=CallerName(f"run:{spec.room}"),  # config.yaml can call nobody so
        scopes={**dict.fromkeys(spec.reaches, EVERYTHING), spec.room: _HERE},
        home=spec.room,
        cause=prompt.cause,
        in_turn=True,
    )


class Speaking:
    """The tools of one run."""

    def __init__(self, peers: Peers | None, spec: RunSpec, permit: Permit) -> None:
        """Without `peers`, or where the room's settings say so, it has no tools."""
        self._peers = peers
        self._spec = spec
        self._permit = permit
        self._audience = audience_of(spec)
        there = offered(self._audience) if peers is not None and spec.speaks else {}
        # A rule that takes a tool away binds whoever calls it.
        self._tools = {name: tool for name, tool in there.items() if room_tool(name) not in spec.deny}
        self._prompt: Prompt | None = None
        self._written = self._asked = self._busy = 0
        self._is_asking = False

    def begin(self, prompt: Prompt) -> None:
        """A turn runs from now on."""
        self._prompt = prompt
        self._written = self._asked = 0

    def end(self) -> None:
        """None runs any more."""
        self._prompt = None

    def listed(self) -> list[dict[str, Any]]:
        """As the protocol lists them."""
        return [tool for tool in listed(self._audience) if self.knows(tool["name"])]

    def knows(self, name: str) -> bool:
        """Whether there is such a tool."""
        return name in self._tools

    async def call(self, name: str, given: object) -> Told:
        """Use one that there is. Never raises for what was given."""
        if self._prompt is None or self._peers is None:
            return Told(NO_TURN, failed=True)
        if self._busy >= AT_ONCE:
            return Told(_AT_ONCE, failed=True)
        if self._tools[name].where in (Where.WRITES, Where.ELSEWHERE):
            if self._written >= MOST_WRITTEN:
                return Told(_TOO_MUCH, failed=True)
            self._written += 1
        self._busy += 1
        try:
            told = await call(self._desk(self._peers, self._prompt), self._audience, name, given)
            return replace(told, text=self._peers.redacting()(told.text))
        finally:
            self._busy -= 1

    def _desk(self, peers: Peers, prompt: Prompt) -> Desk:
        return Desk(
            exchange=peers.exchange,
            caller=caller_of(self._spec, prompt),
            now_ms=peers.now_ms,
            thread=prompt.thread,
            approve=self._approve,
        )

    async def _approve(self, tool: str, given: Given) -> None:
        """Raises WrongArgumentError unless the room allows it, or its settings do."""
        prompt, name = self._prompt, room_tool(tool)
        if name in self._spec.allow:
            return
        if self._is_asking or self._asked >= MOST_ASKED:
            raise WrongArgumentError("One after the other." if self._is_asking else _ASKED_ENOUGH)
        self._asked += 1
        self._is_asking = True
        try:
            is_allowed, reason = await self._permit(name, given)
        finally:
            self._is_asking = False
        if not is_allowed or self._prompt is not prompt:
            raise WrongArgumentError(f"It was not allowed. {reason}".strip())
