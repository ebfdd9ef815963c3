"""Windows of a real browser, with a client in each, as `js/drive.mjs` opens them."""

import functools
import http.server
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from rig.homeserver import Account
from rig.js_engine import EngineRefused, JsEngine, js_engine
from rig.screenshots.install import HERE
from rig.setup import Node

PATIENCE = 90.0
"""Seconds for anything that a window is asked for."""
_ONLY_THE_ROOM = """
    .mx_LeftPanel_outerWrapper, .mx_SpacePanel, .mx_ResizeHandle, .mx_RoomHeader .mx_FacePile { display: none; }
    .mx_EventTile[data-layout="group"] .mx_EventTile_line { margin-inline-end: 8px !important; }
    .mx_EventTile_msgOption { display: none; }
"""
_NOTHING_NEW = ".mx_ToastContainer, [data-floating-ui-portal] { display: none; }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of a window, in CSS pixels; `scale` is how many there are of the screen's to one of them."""

    width: int
    height: int
    scale: float = 1


PHONE = Size(width=390, height=780, scale=1.5)
DESKTOP = Size(width=1180, height=820)


class Window:
    """A room in a client."""

    page: str
    """One of `install.PAGES`."""
    last_message: str
    """A selector of messages."""
    marks: str
    """A selector of reactions."""

    def __init__(self, engine: JsEngine, name: str, size: Size) -> None:
        self._engine = engine
        self.name = name
        self.size = size

    async def until(self, text: str) -> None:
        """Wait until a message shows a text."""
        await self._ask("until", selector=self.last_message, text=text)

    async def until_marked(self, key: str) -> None:
        """Wait until a message shows a reaction."""
        await self._ask("until", selector=self.marks, text=key)

    async def scroll_to(self, text: str) -> None:
        """Have the last message with that text at the upper end of the window."""
        await self._ask("scroll", selector=self.last_message, text=text, to="start")

    async def scroll_down(self) -> None:
        """Have what was said last in the window. By itself a client does so while nobody scrolls."""

    async def shoot(self, file: Path) -> None:
        """Take a picture."""
        await self._ask("shoot", file=str(file))

    async def _ask(self, what: str, **words: object) -> None:
        await self._engine.ask(what, timeout=PATIENCE, window=self.name, **words)

    async def _open(self, url: str) -> None:
        await self._ask("open", url=url, width=self.size.width, height=self.size.height, scale=self.size.scale)


class Element(Window):
    """Element Web as it was when its interface was a package of its own."""

    page = "element"
    last_message = ".mx_EventTile"
    marks = ".mx_ReactionsRow"

    def __init__(self, engine: JsEngine, name: str, size: Size, *, again: bool = False) -> None:
        """`again`: the person has logged in at an Element before."""
        super().__init__(engine, name, size)
        self._again = again

    async def open(self, url: str, homeserver: str, account: Account, room: str) -> None:
        """Log in as somebody types it, and go to a room."""
        await self._open(f"{url}/?{urlencode({'homeserver': homeserver})}#/login")
        name = account.user_id[1:].partition(":")[0]  # with the whole id it would look for the server in the internet
        await self._ask("fill", selector="#mx_LoginForm_username", text=name)
        await self._ask("fill", selector="#mx_LoginForm_password", text=account.password)
        await self._ask("click", selector=".mx_Login_submit")
        if self._again:
            # Whoever logs in first gets an identity, with which each further device would be signed.
            await self._ask("click", selector=".mx_CompleteSecurity_skip")
            await self._ask("click", selector=".mx_AccessibleButton:has-text('verify later')")
        await self._ask("until", selector=".mx_LeftPanel", text="")
        await self._ask("go", hash=f"#/room/{room}")
        await self._ask("until", selector=".mx_RoomView", text="")
        # On a phone Element shows the list of rooms or the room; this one still showed both.
        await self._ask("style", css=_NOTHING_NEW + (_ONLY_THE_ROOM if self.size is PHONE else ""))


class Hydrogen(Window):
    """A small client without edits: each is shown as a message of its own."""

    page = "hydrogen"
    last_message = ".Timeline_message"
    marks = ".Timeline_messageReactions"

    async def open(self, url: str, homeserver: str, account: Account, room: str) -> None:
        """Log in and go to a room."""
        asked = {"homeserver": homeserver, "user": account.user_id, "password": account.password, "room": room}
        await self._open(f"{url}/?{urlencode(asked)}")
        await self._ask("until", selector=".RoomView", text="")

    async def scroll_down(self) -> None:
        """Here it does not do so by itself."""
        await self._ask("down")


@asynccontextmanager
async def browser(node: Node, program: Path, errors: Path) -> AsyncGenerator[JsEngine, None]:
    """A browser without a window. It is gone when the block ends."""

    async def told(_: object) -> None:
        """It says nothing unasked but its end, which whoever asks next is told."""

    async with js_engine(node, errors, told, program=HERE / "js" / "drive.mjs") as engine:
        await engine.ask("start", timeout=PATIENCE, program=str(program), sandbox=os.geteuid() != 0)
        try:
            yield engine
        except EngineRefused as refused:
            raise EngineRefused(f"{refused}\n{engine.last_words()}") from refused


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which the files of a folder can be had from this machine, until the block ends."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
