"""What of a turn's text goes into its room: no secrets, and not too much. The rest is in a file in the workspace."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from aiagentchat.core.agent_events import PlanChanged
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.log_content import Gathered
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.voice import Sink
from aiagentchat.core.redact import Redacting, RedactingStream, redacted, shapes_only
from aiagentchat.process.beneath import create_beneath, make_folder_beneath
from aiagentchat.render import words

FOLDER = "long-answers"
"""In the workspace: where people and the agent find what was too long for the room."""
MIB = 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Output:
    """Counts what a turn says. Its tool lines, questions and last words are ours, and always said.

    The last word of what was added may still be held back, because it may become a secret: everything that is said
    beside the text brings it out first.
    """

    sink: Sink
    workspace: Path
    name: str
    """Of the file, should there be one."""
    most: int
    """MiB of text for the room."""
    redacting: Redacting = shapes_only
    """Who hides secrets in what is shown and kept."""
    gathered: Gathered = field(default_factory=Gathered)
    """How it begins, for the log."""
    _stream: RedactingStream = field(init=False)
    _said: int = 0
    _file: int | None = None
    """Descriptor of the file."""
    _is_over: bool = field(default=False)

    def __post_init__(self) -> None:
        """With nothing held back."""
        self._stream = RedactingStream(self.redacting)

    @property
    def silent(self) -> bool:
        """Whether no word was added yet."""
        self._bring_out()
        return self.sink.silent

    def shown(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The input of a tool as it may be shown."""
        hidden: Mapping[str, Any] = redacted(dict(value), self.redacting())
        return hidden

    def add(self, text: str) -> None:
        """Say it, as long as there is room; keep it afterwards."""
        self._say(self._stream.add(text))

    def tool(self, line: str) -> None:
        """One quiet line about a tool."""
        self._bring_out()
        self.sink.tool(line)

    def think(self, text: str) -> None:
        """What the model thought, whole."""
        self._bring_out()
        self.sink.think(self.redacting()(text))

    def plan(self, plan: PlanChanged) -> None:
        """What the agent wants to do now."""
        self._bring_out()
        hide = self.redacting()
        self.sink.plan(PlanChanged(tuple(replace(step, text=hide(step.text)) for step in plan.steps)))

    def break_off(self) -> list[Parcel]:
        """What is still unsaid; what is added later goes into a new message."""
        self._bring_out()
        return self.sink.break_off()

    def _bring_out(self) -> None:
        self._say(self._stream.end())

    def _say(self, text: str) -> None:
        if not text:
            return
        if self._is_over:
            self._keep(text)
            return
        self._said += len(text.encode("utf-8", "replace"))
        if self._said <= self.most * MIB:
            self.sink.add(text)
            self.gathered.add(text)
            return
        self._is_over = True
        self._open()
        self.sink.block_ended()
        kept = f"{FOLDER}/{self.name}" if self._file is not None else None
        self.sink.add(words.output_cut(self.most, kept))
        self.sink.block_ended()
        self._keep(text)
        log.warning("turn.output_cut", limit_mib=self.most, file=kept)

    def block_ended(self) -> None:
        """What was added is final."""
        self._bring_out()
        self.gathered.keep()
        if not self._is_over:
            self.sink.block_ended()

    def retract(self) -> None:
        """Take back what was added since the last final block; a file keeps both."""
        if self._is_over:
            self._bring_out()
            return
        self._stream.drop()
        self.gathered.drop()
        self.sink.retract()

    def close(self) -> None:
        """Nothing more comes."""
        self._bring_out()
        self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        """The workspace is the agent's: nothing in it is followed, nothing that is there is written to."""
        try:
            make_folder_beneath(self.workspace, FOLDER)
            self._file = create_beneath(self.workspace, f"{FOLDER}/{self.name}")
        except NotOpened as error:
            log.warning("turn.output_not_kept", error=str(error))

    def _keep(self, text: str) -> None:
        if self._file is None:
            return
        rest = text.encode("utf-8", "replace")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            log.warning("turn.output_not_kept", error=str(error))
            self._shut()
