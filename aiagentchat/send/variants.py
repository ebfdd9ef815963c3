"""The ways to say a parcel, each asking less of the homeserver than the one before. Pure.

All go under the transaction id of the parcel: if one of them did arrive after all, the next is answered with it.
"""

from dataclasses import replace
from typing import Any

from aiagentchat.core.files import ANY_TYPE
from aiagentchat.core.ids import EventId
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import MESSAGE, TXN_KEY, Attachment, Content, Parcel
from aiagentchat.render import file_words, words
from aiagentchat.render.fences import close_open
from aiagentchat.render.file_message import thumbnail_info
from aiagentchat.render.hygiene import clean
from aiagentchat.render.message import edit, message
from aiagentchat.render.threads import in_thread

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
    return _marked(parcel, _said(parcel, variant, file or {}), first)


def content_with_file(parcel: Parcel, file: Content, thumbnail: Content) -> Content:
    """What is sent of a parcel that has a file: `file` leads to it, and `thumbnail` to a small picture of it, or is
    empty."""
    info = {**parcel.content.get("info", {}), **{f"thumbnail_{key}": value for key, value in thumbnail.items()}}
    return _marked(parcel, {**parcel.content, **file, "info": info})


def wants_thumbnail(parcel: Parcel, file: Attachment) -> bool:
    """Whether its picture has none, and nobody was there to make one: what no turn has sent, `/get` or a program."""
    return file.thumbnail is None and parcel.command is None and parcel.content.get("msgtype") == "m.image"


def with_thumbnail(parcel: Parcel, thumbnail: bytes) -> Parcel:
    """The parcel, which says what its thumbnail is."""
    info = {**parcel.content.get("info", {}), **thumbnail_info(thumbnail)}
    return replace(parcel, content={**parcel.content, "info": info})


def kind_of(parcel: Parcel) -> tuple[str, str, str]:
    """The name of its file, what it is, and what its thumbnail is."""
    info = parcel.content.get("info", {})
    small = info.get("thumbnail_info", {})
    return (
        str(parcel.content.get("filename", FILE_NAME)),
        str(info.get("mimetype", ANY_TYPE)),
        str(small.get("mimetype", ANY_TYPE)),
    )


def content_without_file(parcel: Parcel) -> Content:
    """What is sent in the place of a file that the homeserver does not take."""
    name = clean(kind_of(parcel)[0])
    caption = "" if words_of(parcel) == name else close_open(words_of(parcel)[:BEGINNING_CHARACTERS])
    said = message(file_words.not_taken(name, caption), notice=False)
    relation = parcel.content.get("m.relates_to")
    return _marked(parcel, said if relation is None else {**said, "m.relates_to": relation})


def _marked(parcel: Parcel, said: Content, first: EventId | None = None) -> Content:
    if META_KEY in parcel.content:
        said = {**said, META_KEY: parcel.content[META_KEY]}
    content = _in_its_thread(parcel, said) if first is None else edit(said, first)
    return {**content, TXN_KEY: parcel.txn}


def _in_its_thread(parcel: Parcel, said: Content) -> Content:
    """An edit needs no more than what it edits."""
    if parcel.thread is None or parcel.type != MESSAGE:
        return said
    return in_thread(said, parcel.thread, after=parcel.command)


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
