"""What each command of `cchat` does: asks, prints, and says by its exit code what came of it."""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from aiagentchat.cli.exchange.direct import Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.gateway import Gateway, NobodyThere
from aiagentchat.cli.exchange.homeserver import Homeserver
from aiagentchat.cli.exchange.logins import Login
from aiagentchat.cli.exchange.places import AtGateway, Way, find
from aiagentchat.cli.exchange.sentences import how_far, line_of, when
from aiagentchat.cli.exchange.wishes import Json, Search, Speaks, Words, moment_of, seconds_of
from aiagentchat.cli.safe import safe
from aiagentchat.core.exchange import MOST_BODY
from aiagentchat.render.hygiene import one_line, visible

_SHOWN = 200
_TITLE = 60
_WIDE = 160
"""Columns of a table that no terminal limits."""
_ENDS: Mapping[str, Exit] = {"answered": Exit.DONE, "refused": Exit.REFUSED, "expired": Exit.EXPIRED}


@dataclass(frozen=True, slots=True)
class Console:
    """Where the answer goes."""

    as_json: bool = False
    now_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)

    def document(self, answer: object) -> None:
        """The one for programs."""
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=None))

    def say(self, text: str) -> None:
        """To a person."""
        typer.echo(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str) -> None:
        """To a person, in columns."""
        if not rows:
            typer.echo(nothing)
            return
        from rich.console import Console as Rich
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            drawn.add_row(*(Text(one_line(safe(str(cell)), _SHOWN)) for cell in row))
        Rich(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(drawn)


def run(way: Way, console: Console, do: Callable[[Speaks, Console], int]) -> int:
    """Find whom to ask, do it, and return the exit code."""
    try:
        return _asked(way, lambda speaks: do(speaks, console))
    except NotDone as error:
        return complain(error, console)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED


def complain(error: NotDone, console: Console) -> int:
    """Say why not, to people and to programs."""
    if console.as_json:
        said = {"exit": int(error.exit), "cause": error.exit.name.lower(), "detail": str(error)}
        console.document({"error": said})
    typer.echo(f"cchat: {error}", err=True)
    return error.exit


def _asked(way: Way, do: Callable[[Speaks], int]) -> int:
    found = find(way, os.environ, Path.cwd())
    if isinstance(found, AtGateway):
        try:
            return do(Gateway(found.place, found.token))
        except NobodyThere:
            if found.otherwise is None:
                raise
        return do(_direct(found.otherwise))
    return do(_direct(found.login))


def _direct(login: Login) -> Direct:
    typer.echo(f"cchat: without a gateway, as {one_line(safe(login.user_id), _SHOWN)}", err=True)
    return Direct(Homeserver(login.homeserver, login.access_token), login.user_id)


def _daemon(speaks: Speaks) -> Gateway:
    """What only a daemon keeps. Raises NotDone."""
    if isinstance(speaks, Gateway):
        return speaks
    raise NotDone(
        "only a daemon keeps this: run the command where its config.yaml is, or give --config, or --gateway and "
        "--token-file",
        Exit.NO_WAY,
    )


# ── saying something


def text_of(words: Sequence[str]) -> str:
    """What was given as arguments, or on stdin. Raises NotDone."""
    if words and list(words) != ["-"]:
        text = " ".join(words)
    elif sys.stdin.isatty() and not words:
        raise NotDone("there is nothing to say: give the text, or let it come on stdin", Exit.USAGE)
    else:
        text = sys.stdin.buffer.read(MOST_BODY + 1).decode("utf-8", "replace").strip("\n")
    if not text.strip():
        raise NotDone("there is nothing to say: the text is empty; nothing was sent", Exit.USAGE)
    if len(text.encode()) > MOST_BODY:
        raise NotDone(f"the text is longer than {MOST_BODY} bytes; nothing was sent", Exit.USAGE)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """How something is to be said."""

    expires: str | None = None
    timeout: str = "10m"
    key: str | None = None
    waits: bool = False


def send(way: Way, console: Console, given: Words, words: Sequence[str], how: Saying) -> int:
    """`cchat send` and `cchat ask`."""
    try:
        given = replace(given, body=text_of(words))
        seconds = seconds_of(how.timeout, "--timeout")
        if how.expires:
            given = replace(given, expires_at=moment_of(how.expires, "--expires", console.now_ms(), ahead=True))
    except NotDone as error:
        return complain(error, console)
    # Before the first try: whatever happens to a request, the next one is the same message.
    key = how.key or uuid.uuid4().hex

    def do(speaks: Speaks, console: Console) -> int:
        wish = replace(given, to=_address(speaks, given.to, waits=how.waits))
        message = speaks.ask(wish, key, seconds) if how.waits else speaks.send(wish, key)
        if console.as_json:
            console.document(message)
        return _waited(message, console, how.timeout) if how.waits else _sent(message, console)

    return run(way, console, do)


def _address(speaks: Speaks, to: str | None, *, waits: bool) -> str | None:
    """The address of somebody who may be named shortly. Who waits for an answer and names nobody asks the daemon."""
    if to is None:
        if not (waits and isinstance(speaks, Gateway)):
            return None
        here = speaks.daemon()
        return f"{here.get('user')}/{here['instance']}" if here.get("instance") else str(here.get("user"))
    if to.startswith("@"):
        return to
    named = [each for each in speaks.who() if each.get("name") == to]
    found = [each for each in named if each.get("alive")] or named
    if len(found) == 1:
        return str(found[0].get("address"))
    if not found:
        raise NotDone(f"--to {visible(to)}: nobody in the registry is called so; cchat who lists them", Exit.UNKNOWN)
    several = ", ".join(safe(str(each.get("address"))) for each in found)
    raise NotDone(f"--to {visible(to)}: several are called so; choose one of {several}", Exit.USAGE)


def _sent(message: Json, console: Console) -> int:
    if not console.as_json:
        console.say(f"{message.get('state')}: {message.get('id')}")
    return Exit.DONE


def _waited(message: Json, console: Console, timeout: str) -> int:
    state = str(message.get("state"))
    if state == "answered" and not console.as_json:
        console.say(safe(str(message.get("answer", ""))))
    elif state not in _ENDS:
        far = how_far(message, (), console.now_ms())
        typer.echo(f"cchat: no answer within {timeout}: {far}. cchat status {message.get('id')} tells more", err=True)
    elif state != "answered":
        typer.echo(f"cchat: {how_far(message, (), console.now_ms())}", err=True)
    return _ENDS.get(state, Exit.NO_ANSWER)


# ── reading


def read(way: Way, console: Console, room: str, *, limit: int, before: str | None) -> int:
    """`cchat read`."""
    return run(way, console, lambda speaks, out: _page(speaks.read(room, limit=limit, before=before), out, rooms=False))


def history(way: Way, console: Console, search: Search, *, since: str | None, until: str | None) -> int:
    """`cchat history`."""
    try:
        now = console.now_ms()
        search = replace(
            search,
            since=moment_of(since, "--since", now, ahead=False) if since else None,
            until=moment_of(until, "--until", now, ahead=False) if until else None,
        )
    except NotDone as error:
        return complain(error, console)
    return run(way, console, lambda speaks, out: _page(speaks.history(search), out, rooms=search.room is None))


def _page(page: Json, console: Console, *, rooms: bool) -> int:
    if console.as_json:
        console.document(page)
        return Exit.DONE
    for message in page.get("messages", ()):
        console.say(line_of(message, console.now_ms(), room=rooms))
    if page.get("before") is not None:
        typer.echo(f"cchat: there is more; the page before this one: --before {page['before']}", err=True)
    elif not page.get("messages"):
        typer.echo("cchat: nothing was found", err=True)
    return Exit.DONE


def watch(way: Way, console: Console, room: str | None, after: str | None) -> int:
    """`cchat watch`."""

    def do(speaks: Speaks, console: Console) -> int:
        for event in speaks.events([room] if room else [], after):
            if console.as_json:
                console.document(event)
            elif (line := _happened(event, console.now_ms(), room=room is None)) is not None:
                console.say(line)
            sys.stdout.flush()
        return Exit.DONE

    return run(way, console, do)


def _happened(event: Json, now_ms: int, *, room: bool) -> str | None:
    data: dict[str, Any] = event.get("data") or {}
    if "sender" in data and "body" in data:
        return line_of(data, now_ms, room=room)
    return None


# ── who, how, what


def who(way: Way, console: Console, *, everybody: bool) -> int:
    """`cchat who`."""

    def do(speaks: Speaks, console: Console) -> int:
        found = [each for each in speaks.who() if everybody or each.get("alive")]
        if console.as_json:
            console.document({"instances": found})
            return Exit.DONE
        now = console.now_ms()
        rows = [
            (
                each.get("name"),
                each.get("user"),
                each.get("kind"),
                each.get("status") if each.get("alive") else "offline",
                when(each.get("seen_at"), now),
                each.get("host"),
                ", ".join(map(str, each.get("rooms") or ())),
                ", ".join(map(str, each.get("skills") or ())),
            )
            for each in found
        ]
        columns = ("name", "account", "kind", "status", "seen", "host", "rooms", "skills")
        console.table(columns, rows, nothing="Nobody is there. cchat who --all lists those that were.")
        return Exit.DONE

    return run(way, console, do)


def status(way: Way, console: Console, message: str | None) -> int:
    """`cchat status`."""

    def do(speaks: Speaks, console: Console) -> int:
        daemon = _daemon(speaks)
        if message is None:
            return _health(daemon.daemon(), console)
        found = daemon.status(message)
        far = how_far(found, daemon.who() if found.get("to") else (), console.now_ms())
        if console.as_json:
            console.document({**found, "sentence": far})
        else:
            console.say(f"{safe(str(found.get('id')))}: {far}")
            if answer := found.get("answer"):
                console.say(safe(str(answer)))
        return Exit.DONE

    return run(way, console, do)


def _health(found: Json, console: Console) -> int:
    if console.as_json:
        console.document(found)
        return Exit.DONE
    connected = "connected" if found.get("homeserver_connected") else "not connected to its homeserver"
    name = "/".join(str(each) for each in (found.get("user"), found.get("instance")) if each)
    console.say(
        f"{safe(name)} is {safe(str(found.get('status')))}, {connected}, up for "
        f"{_lasting(found.get('uptime_seconds'))} (aiagentchat {safe(str(found.get('version')))}). "
        f"You are {safe(str(found.get('caller')))}."
    )
    counts = {**(found.get("commands") or {}), "waiting to be sent": found.get("parcels_waiting") or 0}
    console.say(", ".join(f"{number} {safe(what)}" for what, number in counts.items()))
    rows = [
        (
            room.get("name"),
            room.get("room_id"),
            ", ".join(map(str, room.get("scopes") or ())),
            "encrypted" if room.get("encrypted") else "",
            f"halted: {room['halted']}" if room.get("halted") else "",
        )
        for room in found.get("rooms") or ()
    ]
    console.table(("room", "id", "you may", "", ""), rows, nothing="You may see no room.")
    return Exit.DONE


def _lasting(seconds: object) -> str:
    left = seconds if isinstance(seconds, int) else 0
    days, hours, minutes = left // 86_400, left // 3600 % 24, left // 60 % 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {left % 60} s"


# ── tasks


def tasks(way: Way, console: Console, room: str | None, *, everything: bool) -> int:
    """`cchat tasks`."""

    def do(speaks: Speaks, console: Console) -> int:
        found = _daemon(speaks).tasks(room, everything=everything)
        if console.as_json:
            console.document({"tasks": found})
            return Exit.DONE
        now = console.now_ms()
        rows = [
            (
                each.get("id"),
                each.get("state"),
                one_line(str(each.get("title")), _TITLE),
                each.get("by"),
                each.get("to"),
                when(each["deadline"], now) if each.get("deadline") else "",
                one_line(str(each.get("note") or ""), _TITLE),
            )
            for each in found
        ]
        columns = ("task", "state", "title", "by", "to", "until", "news")
        console.table(columns, rows, nothing="No task is open. cchat tasks --all lists the others, too.")
        return Exit.DONE

    return run(way, console, do)


def assign(way: Way, console: Console, given: Words, words: Sequence[str], how: Saying) -> int:
    """`cchat tasks assign`."""
    try:
        text = text_of(words)
        deadline = moment_of(how.expires, "--deadline", console.now_ms(), ahead=True) if how.expires else None
    except NotDone as error:
        return complain(error, console)
    key = how.key or uuid.uuid4().hex

    def do(speaks: Speaks, console: Console) -> int:
        daemon = _daemon(speaks)
        to = _address(speaks, given.to, waits=False) or ""
        return _task(daemon.assign(given.room, to, text, deadline=deadline, key=key), console)

    return run(way, console, do)


def update(way: Way, console: Console, task: str, step: str, *, room: str | None, note: str) -> int:
    """`cchat tasks update`."""

    def do(speaks: Speaks, console: Console) -> int:
        daemon = _daemon(speaks)
        where = room or next(
            (str(each.get("room")) for each in daemon.tasks(None, everything=True) if each.get("id") == task), None
        )
        if where is None:
            raise NotDone(f"there is no task {visible(task)}; cchat tasks lists them", Exit.UNKNOWN)
        return _task(daemon.update(where, task, step, note), console)

    return run(way, console, do)


def _task(task: Json, console: Console) -> int:
    if console.as_json:
        console.document(task)
    else:
        console.say(f"{safe(str(task.get('state')))}: {safe(str(task.get('id')))}")
    return Exit.DONE


# ── login


def login(
    console: Console,
    *,
    homeserver: str | None,
    user: str | None,
    password_file: str | None,
    token_file: str | None,
    profile: str | None,
    forget: bool,
) -> int:
    """`cchat login`."""
    from aiagentchat.cli.exchange import login as logins

    try:
        if forget:
            gone = logins.forget(profile, os.environ)
            console.say(f"The login of {safe(gone.user_id)} has ended." if gone else "There was no login.")
            return Exit.DONE
        kept = logins.log_in(
            homeserver=homeserver,
            user=user,
            password_file=password_file,
            token_file=token_file,
            profile=profile,
            environ=os.environ,
        )
    except NotDone as error:
        return complain(error, console)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    console.say(f"You are {safe(kept.user_id)} at {safe(kept.homeserver)}.")
    return Exit.DONE


# ── for Claude Code


def mcp(way: Way, name: str | None) -> int:
    """`cchat mcp`: on stdout is the protocol, and nothing else."""
    try:
        found = find(way, os.environ, Path.cwd())
    except NotDone as error:
        return complain(error, Console())
    if not isinstance(found, AtGateway):
        none = NotDone("the tools are those of a gateway, and there is none; give --config or --gateway", Exit.NO_WAY)
        return complain(none, Console())
    bridge = import_module("aiagentchat.cli.exchange.mcp")
    where = {"url": found.place.shown} if found.place.socket is None else {"socket": found.place.socket}
    return int(bridge.run(bridge.Gateway(**where, token=found.token), name=name))
