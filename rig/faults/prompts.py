"""What people type: prompts that say themselves what the whole answer is. Pure.

a0017: say 300 numbered words @@stub [{"numbered": 300, "name": "a0017", "chunk": 400, "delay": 0.1}]
"""

import json
import re
from dataclasses import dataclass

from rig.fake_cli import numbered_words, steps_in

_PROMPT = re.compile(r"([a-z]+\d{4,}): say (\d+) numbered words @@stub")
WORD = re.compile(r"\b([a-z]+\d{4,})-(\d{4})\b")
"""A word of an answer: its name, its number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks for."""

    name: str
    words: int

    @property
    def answer(self) -> str:
        """The whole answer."""
        return numbered_words(self.name, self.words)


def prompt(name: str, words: int, *, chunk: int = 0, delay: float = 0, gate: str = "") -> str:
    """Ask for so many words, in pieces of `chunk` characters with `delay` seconds after each; after `gate` is there."""
    step = {"numbered": words, "name": name, "chunk": chunk, "delay": delay}
    step |= {"gate": gate} if gate else {}
    return f"{name}: say {words} numbered words @@stub {json.dumps([step])}"


def parse(body: str) -> Asked | None:
    """What `body` asks for; None when it is no prompt of ours."""
    match = _PROMPT.match(body)
    return Asked(match[1], int(match[2])) if match and steps_in(body) else None
