"""The chat at a terminal: three things at once (news, keys, the picture), until the person leaves."""

import asyncio
import random
import re
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiagentchat.cli.chat.editor import Editor, Key, Press, Typed
from aiagentchat.cli.chat.errors import NotReachable
from aiagentchat.cli.chat.keys import Decoder
from aiagentchat.cli.chat.look import Look, Wish
from aiagentchat.cli.chat.paint import Painter, console
from aiagentchat.cli.chat.room import Room
from aiagentchat.cli.chat.screen import Screen
from aiagentchat.cli.chat.terminal import OTHER_SCREEN, OWN_SCREEN, Terminal, key_by_key
from aiagentchat.cli.chat.timeline import Message
from aiagentchat.cli.chat.view import Bottom, View
from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import EventId
from aiagentchat.render.hygiene import one_line

ALLOW, ALWAYS, DENY = "✅", "♾️", "❌"
WORDS = {ALLOW: "yes", ALWAYS: "always", DENY: "no"}
"""What says the same where reactions count for nothing."""
QUESTION_SECONDS = 0.5
"""How long a question is there before a key answers it: who is typing just then must not allow anything by accident."""
ESCAPE_SECONDS = 0.05
"""How long the rest of a key's sequence may take; after that it was the Escape key."""
FRAME_SECONDS = 0.03
"""The time between two pictures at least."""
LAST_SECONDS = 3.0
"""How long leaving waits for what was not sent yet."""
MOST_UNSENT = 50
HINT = "Enter sends · Page Up: older · ^G who · /help · Ctrl-D leaves"
_NAME = 15
_NUMBERS = re.compile(r"[1-9][0-9]?(?:[\s,]+[1-9][0-9]?)*")

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

Post = Callable[[str], Awaitable[EventId]]


class Talk:
    """One chat."""

    def __init__(self, room: Room, terminal: Terminal) -> None:
        self._room = room
        self._terminal = terminal
        self._painter = Painter(console(sys.stdout), room.me)
        self._view = View(self._painter, room.timeline)
        self._screen = Screen()
        self._editor = Editor()
        self._decoder = Decoder()
        self._left = asyncio.Event()
        self._exit_code = 0
        self._lost = False
        self._resized = False
        self._notice = ""
        self._look: Look | None = None
        """Somebody looks back."""
        self._other: Screen | None = None
        """The terminal's other screen, while it is shown, and its size."""
        self._size = terminal.size
        self._wants_older = asyncio.Event()
        self._shows_members = False
        self._asked_at: dict[EventId, float] = {}
        self._answered: set[EventId] = set()
        self._reason_for: Message | None = None
        self._unsent: asyncio.Queue[tuple[Post, Callable[[], None]]] = asyncio.Queue(MOST_UNSENT)

    async def run(self) -> int:
        """Until the person leaves, or the homeserver puts us out; returns the exit code."""
        loop = asyncio.get_running_loop()
        for message in self._room.timeline.messages:
            if message.sender == self._room.me:
                self._editor.remember(message.body)
        self._view.begin()
        with key_by_key(self._terminal):
            for number in _ENDING:
                loop.add_signal_handler(number, self._leave, 128 + number)
            loop.add_signal_handler(signal.SIGWINCH, self._resize)
            loop.add_reader(self._terminal.keys, self._read)
            try:
                async with asyncio.TaskGroup() as group:
                    services = (self._room.follow, self._paint, self._post, self._load)
                    tasks = [group.create_task(serve()) for serve in services]
                    await self._left.wait()
                    await self._send_the_last()
                    for task in tasks:
                        task.cancel()
            finally:
                loop.remove_reader(self._terminal.keys)
                self._terminal.write(self._back_here() + self._screen.draw(self._view.last(self._terminal.size)))
        if self._lost:
            raise NotReachable("your last words were not sent: the homeserver does not answer")
        return self._exit_code

    def _leave(self, exit_code: int = 0) -> None:
        self._exit_code = exit_code
        self._left.set()

    def _changed(self) -> None:
        self._room.news.set()

    def _resize(self) -> None:
        self._resized = True
        self._changed()

    # ── the picture

    async def _paint(self) -> None:
        while True:
            self._room.news.clear()
            self._terminal.write(self._picture() if self._look is None else self._picture_of_past(self._look))
            await asyncio.sleep(FRAME_SECONDS)
            await self._room.news.wait()

    def _picture(self) -> str:
        out, size = self._back_here(), self._terminal.size
        frame = self._view.frame(self._bottom(), size, time.monotonic())
        if self._resized:
            self._resized = False
            out += self._screen.wipe()
            frame = replace(frame, settled=self._view.again(size, size[1] - len(frame.live)), back=0)
        return out + self._screen.draw(frame)

    def _picture_of_past(self, look: Look) -> str:
        out = ""
        if self._other is None:
            self._other = Screen()
            out = OTHER_SCREEN + self._other.wipe()
            self._size = self._terminal.size
        elif self._size != self._terminal.size:
            out = self._other.wipe()
            self._size = self._terminal.size
        room = self._room
        return out + self._other.draw(look.frame(room.past, self._size, self._notice, more=room.has_more))

    def _back_here(self) -> str:
        """To the screen of the chat, which is as it was. If its size has changed, `_resized` still says so."""
        if self._other is None:
            return ""
        self._other = None
        return OWN_SCREEN

    async def _load(self) -> None:
        """What lies before is loaded when somebody comes to its edge."""
        while True:
            await self._wants_older.wait()
            self._wants_older.clear()
            try:
                await self._room.older()
            except (NotReachable, Refused) as error:
                self._notice = f"What lies before cannot be loaded: {error}"
            self._changed()

    def _bottom(self) -> Bottom:
        status, bad = self._status()
        question = self._question()
        if self._reason_for and self._reason_for is not question:
            self._reason_for = None
        return Bottom(
            editor=self._editor,
            status=status,
            bad=bad,
            question=question,
            reason=self._reason_for is not None,
            members=self._room.members if self._shows_members else (),
        )

    def _status(self) -> tuple[str, bool]:
        room = self._room
        if self._notice:
            return self._notice, True
        if room.trouble:
            return f"Trying again: {room.trouble}", True
        if self._reason_for:
            return "Enter denies it with this reason · Esc goes back", False
        names = [self._painter.name(user) for user in sorted(room.typing)]
        if names and not self._question():
            return f"{' and '.join(names[:3])} {'is' if len(names) == 1 else 'are'} writing …", False
        return f"{one_line(room.name, _NAME)} · {HINT}", False

    def _question(self) -> Message | None:
        """The question that a key answers now."""
        question = self._room.timeline.waits
        if question is None or question.id in self._answered:
            return None
        now = time.monotonic()
        if question.id not in self._asked_at:
            self._asked_at[question.id] = now
            asyncio.get_running_loop().call_later(QUESTION_SECONDS, self._changed)
        # A little early is right: the timer may be.
        return question if now - self._asked_at[question.id] >= QUESTION_SECONDS * 0.9 else None

    # ── the keys

    def _read(self) -> None:
        data = self._terminal.read()
        if not data:
            self._leave()
            return
        for press in self._decoder.feed(data):
            self._press(press)
        if self._decoder.waits:
            asyncio.get_running_loop().call_later(ESCAPE_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._decoder.waits:
            for press in self._decoder.flush():
                self._press(press)

    def _press(self, press: Press) -> None:
        self._notice = ""
        self._changed()
        if self._look is not None:
            self._move(self._look, press)
            return
        question = self._question()
        match press:
            case Key.PAGE_UP:
                self._look = Look(self._painter, self._terminal.size[1] - 3)
                self._wants_older.set()
            case Key.MEMBERS:
                self._shows_members = not self._shows_members
            case Key.ESCAPE if self._shows_members:
                self._shows_members = False
            case Key.INTERRUPT | Key.ESCAPE if self._reason_for or self._editor.text:
                self._reason_for = None
                self._editor.clear()
            case Key.INTERRUPT:
                self._leave()
            case Key.EOF if not self._editor.text:
                self._leave()
            case Key.EOF:
                self._editor.press(Key.DELETE)
            case Key.REDRAW:
                self._resized = True
            case Typed(text, pasted=False) if question and not self._reason_for and not self._editor.text:
                self._answer_key(question, text)
            case _:
                entered = self._editor.press(press)
                if entered is not None:
                    self._entered(entered)

    def _move(self, look: Look, press: Press) -> None:
        match look.press(press):
            case Wish.LEAVE:
                self._look = None
            case Wish.OLDER:
                self._wants_older.set()
            case Wish.STAY:
                pass

    def _answer_key(self, question: Message, text: str) -> None:
        match text.lower():
            case "y" if question.asks:
                self._answer(question, ALLOW)
            case "a" if question.takes_always:
                self._answer(question, ALWAYS)
            case "n":
                self._answer(question, DENY)
            case "r":
                self._reason_for = question
            case number if question.chooses and not question.takes_many and number in tuple("123456789"):
                self._answer(question, f"{number}\ufe0f\u20e3")
            case _:
                self._editor.press(Typed(text))

    def _entered(self, text: str) -> None:
        question, self._reason_for = self._reason_for, None
        asked = self._question()
        if question is None:
            if asked is not None and asked.chooses and _NUMBERS.fullmatch(text.strip()):
                self._reply(asked, text.strip())
            elif text.strip():
                self._send(lambda txn: self._room.say(text, txn), lambda: self._give_back(text))
        elif text.strip():
            self._answered.add(question.id)
            self._send(
                lambda txn: self._room.say(f"/deny {' '.join(text.split())}", txn), lambda: self._reopen(question)
            )
        else:
            self._answer(question, DENY)

    def _answer(self, question: Message, key: str) -> None:
        if question.in_words and not (question.chooses and key == DENY):
            self._reply(question, WORDS.get(key, key[0]))
            return
        self._answered.add(question.id)
        if question.in_words:
            self._send(lambda txn: self._room.say("/deny", txn), lambda: self._reopen(question))
            return
        self._send(lambda txn: self._room.react(question.id, key, txn), lambda: self._reopen(question))

    def _reply(self, question: Message, words: str) -> None:
        self._answered.add(question.id)
        self._send(lambda txn: self._room.say(words, txn, reply_to=question.id), lambda: self._reopen(question))

    def _reopen(self, question: Message) -> None:
        self._answered.discard(question.id)

    def _give_back(self, text: str) -> None:
        if not self._editor.text:
            self._editor.clear(text)

    # ── what was typed goes out, in its order

    def _send(self, post: Post, undo: Callable[[], None]) -> None:
        try:
            self._unsent.put_nowait((post, undo))
        except asyncio.QueueFull:
            self._notice = "Not sent: too much waits already, because the homeserver does not answer."
            undo()

    async def _send_the_last(self) -> None:
        """Who sends and leaves at once has still said it."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._unsent.join()
        except TimeoutError:
            self._lost = True

    async def _post(self) -> None:
        while True:
            post, undo = await self._unsent.get()
            txn, failures = uuid.uuid4().hex, 0
            while True:
                try:
                    await post(txn)
                    break
                except NotReachable as error:
                    failures += 1
                    self._notice = f"Not sent yet, trying again: {error}"
                    self._changed()
                    await asyncio.sleep(delay(failures, random.random))
                except Refused as error:
                    self._notice = f"Not sent: the homeserver refused it ({error})."
                    undo()
                    break
            self._unsent.task_done()
            if failures:
                self._notice = ""
            self._changed()
