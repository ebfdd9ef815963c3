"""Text from rooms, as a terminal may have it."""

import re

from aiagentchat.render.hygiene import WORD_JOINER, clean, visible

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """`text` without anything that a terminal would obey; what reorders is spelled out."""
    return _BIDI.sub(lambda found: visible(found[0]), clean(text).replace(WORD_JOINER, ""))
