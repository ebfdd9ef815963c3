"""What a room gets of a whole answer whose file the homeserver does not take: smaller files, or messages. Pure.

A file may be too large for a homeserver, or for what stands before it, that takes smaller ones; of an account that may
not upload all is said in messages. They wait while other rooms have something that is needed.
"""

from typing import Any

from aiagentchat.core.files import ANY_TYPE
from aiagentchat.core.ids import txn_id
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import Attachment, Content, Parcel, Urgency
from aiagentchat.render import words
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.split import split

MOST_IN_MESSAGES = 500_000
"""Bytes that are said in messages; more of them becomes several files, of this size. Below what is usual as a limit."""
_NUMBERS = 1_000
"""Between the numbers of two files, for an agent that reads along: either may have to be said in messages yet."""


def is_of_answer(parcel: Parcel) -> bool:
    """Whether it is the file with a whole answer, or one of several."""
    name = parcel.content.get("filename", "")
    return parcel.command is not None and parcel.txn in (
        txn_id(parcel.command, "whole"),
        txn_id(parcel.command, "whole", name),
    )


def pieces_of(parcel: Parcel, data: bytes) -> list[Parcel]:
    """What is sent behind `content_before` in the place of that file, of which `data` is in it."""
    as_files = len(data) > MOST_IN_MESSAGES
    pieces = split(data.decode("utf-8", "replace"), MOST_IN_MESSAGES if as_files else PAGE_BYTES)
    texts = [piece.text for piece in pieces if piece.text.strip()]
    make = _file if as_files else _page
    return [make(parcel, text, number, is_last=number == len(texts)) for number, text in enumerate(texts, start=1)]


def content_before(parcel: Parcel, pieces: list[Parcel]) -> Content:
    """What says that these follow."""
    as_files = pieces[0].attachment is not None
    mentions = parcel.content.get("m.mentions", {}).get("user_ids", [])
    said = message(words.answer_in_pieces(len(pieces), as_files=as_files), notice=False, mentions=mentions)
    return _numbered(parcel, said, 0, is_last=False)


def _page(parcel: Parcel, text: str, number: int, *, is_last: bool) -> Parcel:
    txn = txn_id(parcel.txn, "page", str(number))
    return Parcel(
        txn=txn,
        room=parcel.room,
        content=_numbered(parcel, message(text, notice=True), number, is_last=is_last, txn=txn),
        command=parcel.command,
        urgency=Urgency.PROGRESS,
        thread=parcel.thread,
    )


def _file(parcel: Parcel, text: str, number: int, *, is_last: bool) -> Parcel:
    assert parcel.command is not None  # is_of_answer
    info = parcel.content.get("info", {})
    name, data = f"answer-{parcel.txn[:8]}-{number}.md", text.encode("utf-8", "replace")
    txn = txn_id(parcel.command, "whole", name)
    content = {
        "msgtype": "m.file",
        "body": name,
        "filename": name,
        "info": {"mimetype": info.get("mimetype", ANY_TYPE), "size": len(data)},
        "m.mentions": {},
    }
    return Parcel(
        txn=txn,
        room=parcel.room,
        content=_numbered(parcel, content, number * _NUMBERS, is_last=is_last, txn=txn),
        command=parcel.command,
        urgency=Urgency.PROGRESS,
        thread=parcel.thread,
        attachment=Attachment(data),
    )


def _numbered(parcel: Parcel, said: dict[str, Any], further: int, *, is_last: bool, txn: str | None = None) -> Content:
    """With what an agent reads of it: nothing is the end of the answer but the last of what was its end."""
    meta = parcel.content.get(META_KEY)
    if meta is None:
        return said
    written = {**meta, "id": txn or parcel.txn, "part": meta.get("part", 0) + further}
    return {**said, META_KEY: written if is_last else {**written, "last": False}}
