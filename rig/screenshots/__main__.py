"""Take the pictures of docs/images: a real Synapse, the real daemon and CLI, a stub of the model, real clients.

python -m rig.screenshots [--into FOLDER] [--only SCENE …]
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver, HomeserverFailed
from rig.js_engine import EngineDied, EngineRefused
from rig.matrix_client import MatrixUser
from rig.model import Model, model_thread
from rig.people import people
from rig.screenshots import story
from rig.screenshots.browser import DESKTOP, PHONE, Element, Hydrogen, Window, browser, served
from rig.screenshots.install import PAGES, chromium, pages
from rig.setup import ROOT, Node, SetupFailed, ensure_cli, say, synapse_python
from rig.unprivileged import own

IMAGES = ROOT / "docs" / "images"
ROOM = "website"
APPENDED = "website-appended"
"""The room with `output: append`, for clients that show each edit as a message of its own."""
FILES = {"app.py": "from pathlib import Path\n" * 40, "README.md": "# website\n", "sessions/one": "", "static/logo": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The room, who is in it, and the windows that look at it."""

    anna: MatrixUser
    claude: Account
    room: str
    windows: Sequence[Window]
    into: Path
    appended: "Stage | None" = None
    """The same with `output: append`."""

    async def ask(self, text: str) -> str:
        """Anna types something; its event."""
        return await self.anna.send(self.room, text)

    async def shown(self, text: str) -> None:
        """Until every window shows a text."""
        for window in self.windows:
            await window.until(text)

    async def shoot(self, scene: str, *, at: str = "") -> None:
        """A picture of every window, which show what was said last; with `at`, from that message on."""
        for window in self.windows:
            await (window.scroll_to(at) if at else window.scroll_down())
            file = self.into / f"{window.name}-{scene}.png"
            await window.shoot(file)
            say(f"took {file.name}")

    async def ended(self, command: str, text: str) -> None:
        """Until a command is done, and every window shows its end."""
        await self.anna.until_reaction(self.room, command, "✅")
        await self.shown(text)
        for window in self.windows:
            await window.until_marked("✅")


async def help_(stage: Stage) -> None:
    """The welcome, and the answer to /help."""
    await stage.ask("!help")
    await stage.shown("while I work")
    await stage.shoot("help")


async def answer(stage: Stage) -> None:
    """A live answer, half way and done."""
    asked = await stage.ask(story.SLOW)
    await stage.shown(story.GROWING)
    await stage.shoot("growing")
    await stage.ended(asked, story.MEASURED)
    await stage.shoot("done")


async def approval(stage: Stage) -> None:
    """The agent asks, and is answered."""
    asked = await stage.ask(story.CLEAN)
    await stage.shown(story.QUESTION)
    for window in stage.windows:
        await window.until_marked("❌")  # the last of the taps
    await stage.shoot("approval")
    question = await stage.anna.until_message(stage.room, story.QUESTION, sender=stage.claude.user_id)
    await stage.anna.react(stage.room, question.id, "✅")
    await stage.ended(asked, story.CLEANED)
    await stage.shoot("approved")


async def long_answer(stage: Stage) -> None:
    """A long answer with a table and code: its end and its beginning."""
    asked = await stage.ask(story.COMPARE)
    await stage.ended(asked, story.COMPARED)
    await stage.shoot("long-end")
    await stage.shoot("long-begin", at=story.COMPARED)


async def append(stage: Stage) -> None:
    """The live answer once more, where nothing is edited."""
    assert stage.appended is not None
    await stage.appended.shown("Hello!")
    await answer(stage.appended)


SCENES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "help": help_,
    "answer": answer,
    "approval": approval,
    "long": long_answer,
    "append": append,
}


async def take(node: Node, built: Path, program: Path, scenes: Sequence[str], into: Path) -> None:
    """Set everything up, and play the scenes."""
    async with AsyncExitStack() as stack:
        folder = own(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiagentchat-"))))
        own_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiagentchat-rig-")))
        server = stack.enter_context(Homeserver(own_folder / "homeserver", server_name="example.org"))
        model = stack.enter_context(model_thread())
        present = await stack.enter_async_context(people(server))
        anna = await present.play(server.register("anna"))
        claude = server.register("claude")
        for account, name in ((anna.account, "Anna"), (claude, "Claude")):
            path = f"/_matrix/client/v3/profile/{account.user_id}/displayname"
            server.request("PUT", path, {"displayname": name}, token=account.access_token)
        room = await anna.create_room(claude.user_id, name=ROOM)
        appended = await anna.create_room(claude.user_id, name=APPENDED)
        rooms = {ROOM: {"id": room}, APPENDED: {"id": appended, "output": "append"}}
        await stack.enter_async_context(_daemon(folder, server, model, claude, rooms, anna.id))
        engine = await stack.enter_async_context(browser(node, program, own_folder / "browser.log"))
        urls = {page: stack.enter_context(served(built / page)) for page in PAGES}
        windows: list[Element | Hydrogen] = [
            Element(engine, "element-desktop", DESKTOP),
            Element(engine, "element-phone", PHONE, again=True),
            Hydrogen(engine, "hydrogen-desktop", DESKTOP),
            Hydrogen(engine, "hydrogen-phone", PHONE),
        ]
        other = Hydrogen(engine, "hydrogen-phone-append", PHONE)
        for window, shows in [*((window, room) for window in windows), (other, appended)]:
            await window.open(urls[window.page], server.url, anna.account, shows)
            say(f"opened {window.name}")
        beside = Stage(anna=anna, claude=claude, room=appended, windows=[other], into=into)
        stage = Stage(anna=anna, claude=claude, room=room, windows=windows, into=into, appended=beside)
        await stage.shown("Hello!")
        for scene in scenes:
            await SCENES[scene](stage)


def _daemon(
    folder: Path,
    server: Homeserver,
    model: Model,
    claude: Account,
    rooms: Mapping[str, Mapping[str, str]],
    user: str,
) -> Daemon:
    for text, steps in story.ANSWERS.items():
        model.rehearse(text, *steps)
    for room, (name, content) in itertools.product(rooms, FILES.items()):
        file = folder / "rooms" / room / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")
    return Daemon(
        folder,
        server.url,
        claude,
        [{"name": name, "allow": ["Bash(ls)", "Bash(wc:*)"], **keys} for name, keys in rooms.items()],
        model_url=model.url,
        defaults={"users": [user]},
    )


def main() -> None:
    """Take the pictures; exits with 1, and a sentence, when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m rig.screenshots", description="Take the pictures of docs/images.")
    parser.add_argument("--into", type=Path, default=IMAGES, help="where they go")
    parser.add_argument("--only", nargs="+", choices=SCENES, default=[*SCENES], metavar="SCENE", help=", ".join(SCENES))
    asked = parser.parse_args()
    try:
        synapse_python()
        ensure_cli()
        program = chromium()
        node, built = pages()
        asked.into.mkdir(parents=True, exist_ok=True)
        asyncio.run(take(node, built, program, asked.only, asked.into.resolve()))
    except (SetupFailed, HomeserverFailed, EngineDied, EngineRefused, AssertionError) as failed:
        sys.exit(f"screenshots: {failed}")


if __name__ == "__main__":
    main()
