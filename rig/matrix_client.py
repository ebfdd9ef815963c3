"""A person at a Matrix client, for tests, demo and benchmark.

It follows its rooms over one long poll from the moment it is opened, collects every event of every joined room in
order (gaps are filled), and waits for what it is told to wait for without sleeping. It survives a homeserver that goes
away and comes back.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp

from rig.conversation import Event, Message, describe, view
from rig.homeserver import Account

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a wait may take unless the caller says otherwise."""
LONG_POLL = 30.0
"""Seconds after which an idle /sync comes back empty."""
RECONNECT = 0.1
"""Seconds between two tries while the homeserver is away."""

_FILTER = json.dumps({"room": {"timeline": {"limit": 100}}})


class Refused(Exception):
    """The homeserver did not do what was asked."""

    def __init__(self, asked: str, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{asked}: HTTP {status} {dict(answer)}")
        self.status = status
        self.errcode = str(answer.get("errcode", ""))
        self.answer = answer


class MatrixUser:
    """Made by `matrix_user`."""

    def __init__(self, http: aiohttp.ClientSession, account: Account) -> None:
        self.account = account
        self.id = account.user_id
        self.invites: set[str] = set()
        self._http = http
        self._since = ""
        self._events: dict[str, list[Event]] = {}
        self._seen: set[str] = set()
        self._typing: dict[str, frozenset[str]] = {}
        self._receipts: dict[str, dict[tuple[str, str | None], str]] = {}
        self._changed = asyncio.Condition()
        self._broken: Exception | None = None

    # --- what it sees

    @property
    def is_following(self) -> bool:
        """Whether the first sync is done."""
        return bool(self._since)

    def events(self, room: str) -> list[Event]:
        """Every event of the room's timeline so far, oldest first."""
        return list(self._events.get(room, ()))

    def view(self, room: str) -> list[Message]:
        """The conversation as a person sees it."""
        return view(self._events.get(room, ()))

    def message(self, room: str, event: str) -> Message | None:
        """One message of it."""
        return next((message for message in self.view(room) if message.id == event), None)

    def reactions(self, room: str, event: str) -> dict[str, set[str]]:
        """Who reacted to a message, by key."""
        message = self.message(room, event)
        return message.reactions if message else {}

    def typing(self, room: str) -> frozenset[str]:
        """Who is typing."""
        return self._typing.get(room, frozenset())

    def read_up_to(self, room: str, who: str, thread: str | None = None) -> str:
        """The event that carries the public read receipt of `who`, "" when there is none.

        With a `thread` that of this thread, or (""), of the whole room; without, the last one, wherever that is.
        """
        return self._receipts.get(room, {}).get((who, thread), "")

    # --- what it waits for

    async def until(self, condition: Callable[[], T], *, timeout: float = PATIENCE, what: str = "") -> T:
        """Wait until `condition` (over what this user sees) gives something true, and return that."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                while not (found := condition()):
                    if self._broken:
                        raise self._broken
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(
                f"{self.id} waited {timeout:g} s for {what or 'it'}\n{self._what_was_seen()}"
            ) from None

    async def until_event(self, room: str, match: Callable[[Event], bool], *, timeout: float = PATIENCE) -> Event:
        """Wait for an event of the timeline; one that is already there counts."""
        return await self.until(
            lambda: next(filter(match, self._events.get(room, ())), {}), timeout=timeout, what="an event"
        )

    async def until_message(
        self, room: str, match: str | Callable[[Message], bool], *, sender: str = "", timeout: float = PATIENCE
    ) -> Message:
        """Wait for a message, as `view` shows it, that holds a text or satisfies a function."""

        def matches(message: Message) -> bool:
            fits = match in message.body if isinstance(match, str) else match(message)
            return fits and sender in ("", message.sender)

        found = await self.until(
            lambda: next(filter(matches, self.view(room)), None), timeout=timeout, what=f"a message ({match!r})"
        )
        assert found
        return found

    async def until_reaction(self, room: str, event: str, key: str, *, timeout: float = PATIENCE) -> set[str]:
        """Wait until somebody reacted so, and return who did."""
        return await self.until(
            lambda: self.reactions(room, event).get(key, set()), timeout=timeout, what=f"{key} on {event}"
        )

    # --- what it does

    async def create_room(
        self, *invite: str, alias: str = "", name: str = "", version: str = "", **more: object
    ) -> str:
        """A private room with these users invited; returns its id."""
        asked = {"preset": "private_chat", "invite": invite, **more}
        asked |= {"room_alias_name": alias} if alias else {}
        asked |= {"name": name} if name else {}
        asked |= {"room_version": version} if version else {}
        return str((await self.request("POST", "/createRoom", asked))["room_id"])

    async def invite(self, room: str, user: str) -> None:
        """Invite somebody."""
        await self.request("POST", f"/rooms/{quote(room)}/invite", {"user_id": user})

    async def join(self, room: str) -> str:
        """Join a room, by id or alias, and return its id."""
        return str((await self.request("POST", f"/join/{quote(room)}", {}))["room_id"])

    async def leave(self, room: str) -> None:
        """Leave a room, or decline an invitation."""
        await self.request("POST", f"/rooms/{quote(room)}/leave", {})

    async def send(
        self,
        room: str,
        content: str | Mapping[str, object],
        *,
        kind: str = "m.room.message",
        txn: str = "",
        reply_to: str = "",
    ) -> str:
        """Send a text or any content, and return the event's id. The same `txn` again sends nothing again."""
        said: dict[str, object] = {"msgtype": "m.text", "body": content} if isinstance(content, str) else dict(content)
        said |= {"m.relates_to": {"m.in_reply_to": {"event_id": reply_to}}} if reply_to else {}
        path = f"/rooms/{quote(room)}/send/{quote(kind)}/{quote(txn or uuid.uuid4().hex, safe='')}"
        return str((await self.request("PUT", path, said))["event_id"])

    async def edit(self, room: str, event: str, text: str) -> str:
        """Change the text of one's own message."""
        new = {"msgtype": "m.text", "body": text}
        relates = {"rel_type": "m.replace", "event_id": event}
        return await self.send(room, {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relates})

    async def react(self, room: str, event: str, key: str) -> str:
        """React to a message."""
        relates = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await self.send(room, {"m.relates_to": relates}, kind="m.reaction")

    async def redact(self, room: str, event: str, reason: str = "") -> str:
        """Take an event back."""
        path = f"/rooms/{quote(room)}/redact/{quote(event)}/{uuid.uuid4().hex}"
        return str((await self.request("PUT", path, {"reason": reason} if reason else {}))["event_id"])

    async def history(self, room: str) -> list[Event]:
        """The room's whole timeline as the server has it now, oldest first, apart from the long poll."""
        return await self._back_from("", room, stop_at=frozenset())

    async def in_clear(self, events: Sequence[Event]) -> list[Event]:
        """Events as `history` has them, opened where this client can: it cannot."""
        return list(events)

    async def request(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """One call of the client-server API (`path` without its prefix). Raises Refused."""
        async with self._http.request(
            method,
            f"/_matrix/client/v3{path}",
            json=body,
            params=query,
            headers={"Authorization": f"Bearer {self.account.access_token}"},
        ) as response:
            answer = json.loads(await response.read() or b"{}")
            if response.status != 200:
                raise Refused(f"{method} {path}", response.status, answer)
            return dict(answer)

    # --- the long poll

    async def follow(self) -> None:
        """Collect until cancelled."""
        while True:
            try:
                await self._take(await self._sync())
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(RECONNECT)
            except Exception as error:
                self._broken = error  # whoever waits raises it
                raise
            finally:
                async with self._changed:
                    self._changed.notify_all()

    async def _sync(self) -> dict[str, Any]:
        query = {"timeout": str(int(LONG_POLL * 1000)), "filter": _FILTER, "set_presence": "offline"}
        if self._since:
            query["since"] = self._since
        return await self.request("GET", "/sync", **query)

    async def _take(self, answer: dict[str, Any]) -> None:
        rooms = answer.get("rooms", {})
        self.invites = (self.invites | rooms.get("invite", {}).keys()) - rooms.get("join", {}).keys()
        self.invites -= rooms.get("leave", {}).keys()
        for room, joined in (*rooms.get("join", {}).items(), *rooms.get("leave", {}).items()):
            timeline = joined["timeline"]
            if timeline.get("limited"):
                self._collect(room, await self._back_from(timeline["prev_batch"], room, stop_at=self._seen))
            self._collect(room, timeline["events"])
            for event in joined.get("ephemeral", {}).get("events", ()):
                self._take_ephemeral(room, event)
        self._since = answer["next_batch"]

    def _collect(self, room: str, events: list[Event]) -> None:
        fresh = [event for event in events if event["event_id"] not in self._seen]
        self._seen |= {event["event_id"] for event in fresh}
        self._events.setdefault(room, []).extend(fresh)

    def _take_ephemeral(self, room: str, event: Event) -> None:
        content = event["content"]
        if event["type"] == "m.typing":
            self._typing[room] = frozenset(content["user_ids"])
        elif event["type"] == "m.receipt":
            known = self._receipts.setdefault(room, {})
            for about, receipts in content.items():
                for who, said in receipts.get("m.read", {}).items():
                    known[who, said.get("thread_id", "")] = known[who, None] = about

    async def _back_from(self, start: str, room: str, *, stop_at: frozenset[str] | set[str]) -> list[Event]:
        """What lies before `start` (or now), oldest first, back to something in `stop_at` or the room's birth."""
        newest_first: list[Event] = []
        while True:
            query = {"dir": "b", "limit": "100", **({"from": start} if start else {})}
            page = await self.request("GET", f"/rooms/{quote(room)}/messages", **query)
            newest_first += page["chunk"]
            known = any(event["event_id"] in stop_at for event in page["chunk"])
            if known or "end" not in page:
                return newest_first[::-1]
            start = page["end"]

    def _what_was_seen(self) -> str:
        seen = [
            f"{room}\n" + "\n".join(f"  {describe(event)}" for event in events[-_DESCRIBED:])
            for room, events in self._events.items()
        ]
        return "\n".join(("seen:", *seen)) if seen else "seen: nothing"


_DESCRIBED = 60
"""Events of each room that a failed wait lists."""


@asynccontextmanager
async def matrix_user(homeserver: str, account: Account) -> AsyncGenerator[MatrixUser, None]:
    """A user who follows the rooms until the block ends. `homeserver` is its URL."""
    timeout = aiohttp.ClientTimeout(total=LONG_POLL * 2)
    async with aiohttp.ClientSession(homeserver, timeout=timeout) as http:
        user = MatrixUser(http, account)
        # Not a TaskGroup: it would wrap in a group what a failing test raises in the block.
        following = asyncio.get_running_loop().create_task(user.follow())
        try:
            await user.until(lambda: user.is_following, what="the first sync")
            yield user
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
