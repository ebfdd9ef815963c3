"""The content of a message that shows a file. Pure; where the file is, the sender adds (`core.parcels.Attachment`)."""

from typing import Any

from aiagentchat.core.files import clean_type, is_text, safe_name, type_of
from aiagentchat.core.pictures import picture_of
from aiagentchat.render.message import message

MOST_CAPTION = 2000
"""Characters of a caption."""

_TEXT = "text/plain"
_SHOWN_AS = {"audio": "m.audio", "video": "m.video"}
_HTML = ("format", "formatted_body")


def file_message(
    name: str, data: bytes, caption: str = "", *, mime: str = "", thumbnail: bytes | None = None
) -> dict[str, Any]:
    """A file with its name, and with a caption (Markdown) if there is one; `thumbnail` goes along with it.

    What it is follows from what is in it, where that is a picture; else from `mime`, or its name. Only pictures that
    every client can show without running anything are shown as pictures (an SVG can hold a program).
    """
    picture = picture_of(data)
    kind = picture.mime if picture is not None else clean_type(mime) if mime else _by_name(name, data)
    info: dict[str, Any] = {"mimetype": kind, "size": len(data)}
    if picture is not None:
        info |= {"w": picture.width, "h": picture.height}
    if thumbnail is not None:
        info |= thumbnail_info(thumbnail)
    shown_as = "m.image" if picture is not None else _SHOWN_AS.get(kind.partition("/")[0], "m.file")
    shown = safe_name(name, kind)
    content: dict[str, Any] = {"msgtype": shown_as, "body": shown, "filename": shown, "info": info, "m.mentions": {}}
    if caption.strip():
        words = message(caption[:MOST_CAPTION], notice=False)
        content |= {key: words[key] for key in ("body", *_HTML) if key in words}
    return content


def thumbnail_info(thumbnail: bytes) -> dict[str, Any]:
    """What a message says about its thumbnail; nothing where that is no picture."""
    small = picture_of(thumbnail)
    if small is None:
        return {}
    said = {"mimetype": small.mime, "size": len(thumbnail), "w": small.width, "h": small.height}
    return {"thumbnail_info": said}


def _by_name(name: str, data: bytes) -> str:
    """By its name, unless that promises a picture that it is not."""
    kind = clean_type(type_of(name))
    if kind.startswith("image/") and kind != "image/svg+xml":
        return clean_type("")
    return _TEXT if kind == clean_type("") and is_text(data) else kind
