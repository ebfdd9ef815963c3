"""The ways to say a parcel, each asking less of the homeserver than the one before. Pure.

All go under the transaction id of the parcel: if one of them did arrive after all, the next is answered with it.
"""

from typing import Any

from aiagentchat.core.ids import EventId
from aiagentchat.core.parcels import TXN_KEY, Content, Parcel
from aiagentchat.render import words
from aiagentchat.render.hygiene import clean
from aiagentchat.render.message import edit, message

AS_WRITTEN = 0
PLAIN = 1
"""The text alone, and nothing in it that is no text."""
FILE = 2
"""All of it, as an uploaded file."""
BEGINNING = 3
"""How it begins, and that the rest is missing."""
LAST = BEGINNING

FILE_NAME = "message.md"
FILE_TYPE = "text/markdown"
BEGINNING_CHARACTERS = 300


def is_edit(parcel: Parcel, variant: int) -> bool:
    """Whether it changes its message in this way, or stands for itself."""
    return parcel.edits is not None and variant < FILE


def words_of(parcel: Parcel) -> str:
    """What it says."""
    return clean(str(parcel.content.get("body", "")))


def content_of(parcel: Parcel, variant: int, *, first: EventId | None = None, file: Content | None = None) -> Content:
    """What is sent: `first` is the event that it edits, if it does; `file` leads to its words, for FILE."""
    said = _said(parcel, variant, file or {})
    return {**(said if first is None else edit(said, first)), TXN_KEY: parcel.txn}


def _said(parcel: Parcel, variant: int, file: Content) -> Content:
    if variant == AS_WRITTEN:
        return parcel.content
    if variant == PLAIN:
        return _plain(parcel)
    if variant == FILE:
        return _file(words_of(parcel), file)
    return message(words.beginning_only(words_of(parcel)[:BEGINNING_CHARACTERS]), notice=False)


def _plain(parcel: Parcel) -> dict[str, Any]:
    content: dict[str, Any] = {
        "msgtype": "m.notice" if parcel.content.get("msgtype") == "m.notice" else "m.text",
        "body": words_of(parcel),
        "m.mentions": parcel.content.get("m.mentions", {}),
    }
    relation = parcel.content.get("m.relates_to")
    return content if relation is None else {**content, "m.relates_to": relation}


def _file(text: str, file: Content) -> dict[str, Any]:
    return {
        "msgtype": "m.file",
        "body": words.AS_A_FILE,
        "filename": FILE_NAME,
        **file,
        "info": {"mimetype": FILE_TYPE, "size": len(text.encode())},
        "m.mentions": {},
    }
