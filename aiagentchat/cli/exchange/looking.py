"""`cchat read`, `history`, `watch`, `who`, `status` and `tasks`: what is there, and what has become of it."""

import shlex
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

import typer

from aiagentchat.cli.exchange.console import Console, complain
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.gateway import Gateway
from aiagentchat.cli.exchange.places import Way
from aiagentchat.cli.exchange.running import daemon_of, run
from aiagentchat.cli.exchange.saying import tell_task
from aiagentchat.cli.exchange.sentences import how_far, how_task_is, line_of, when
from aiagentchat.cli.exchange.watching import rested
from aiagentchat.cli.exchange.wishes import Json, Search, Speaks, is_task, moment_of
from aiagentchat.cli.safe import safe
from aiagentchat.core.exchange import OVER
from aiagentchat.core.meta import address
from aiagentchat.render.hygiene import one_line, visible

_OPEN = ("assigned", "accepted", "working")
"""As `core.tasks.OPEN` has it, which is not loaded for this."""
_TITLE = 60


def read(way: Way, console: Console, room: str, *, limit: int, before: str | None) -> int:
    """`cchat read`."""
    return run(way, console, lambda speaks, out: _page(speaks.read(room, limit=limit, before=before), out))


def history(way: Way, console: Console, search: Search, *, since: str | None, until: str | None) -> int:
    """`cchat history`."""
    if search.sender is not None and address(search.sender) is None:
        return complain(NotDone(f"--sender {visible(search.sender)}: write @user:server", Exit.USAGE), console)
    try:
        now = console.now_ms()
        search = replace(
            search,
            since=moment_of(since, "--since", now, ahead=False) if since else None,
            until=moment_of(until, "--until", now, ahead=False) if until else None,
        )
    except NotDone as error:
        return complain(error, console)

    def do(speaks: Speaks, console: Console) -> int:
        page = speaks.history(search)
        if search.room or console.as_json:
            return _page(page, console)
        return _page(page, console, _names(speaks, {str(each.get("room")) for each in page.get("messages", ())}))

    return run(way, console, do)


def _names(speaks: Speaks, rooms: Collection[str]) -> Mapping[str, str]:
    """What rooms are called, where anybody says so: an id will do, too."""
    try:
        return speaks.names(rooms)
    except NotDone:
        return {}


def _called(room: object, names: Mapping[str, str]) -> str:
    return names.get(str(room), str(room))


def _page(page: Json, console: Console, names: Mapping[str, str] | None = None) -> int:
    """`names`: what rooms are called, where messages of several are shown."""
    if console.as_json:
        console.document(page)
        return Exit.DONE
    for message in page.get("messages", ()):
        room = "" if names is None else _called(message.get("room"), names)
        console.say(line_of(message, console.now_ms(), room=room))
    if page.get("before") is not None:
        typer.echo(f"cchat: there is more; {_way_back(str(page['before']))}", err=True)
    elif not page.get("messages"):
        typer.echo("cchat: nothing was found", err=True)
    return Exit.DONE


def _way_back(place: str) -> str:
    """What to type for what stands before a page. An id of an old room is whatever another server has made up."""
    if one_line(visible(place), len(place)) != place:
        return "what stands before it has a name that no terminal may have; --json tells it"
    return f"the page before this one: --before {shlex.quote(place)}"


def watch(way: Way, console: Console, room: str | None, after: str | None) -> int:
    """`cchat watch`."""

    def do(speaks: Speaks, console: Console) -> int:
        if isinstance(speaks, Gateway):
            speaks.outage = lambda why: typer.echo(f"cchat: {why}", err=True)
        events = speaks.events([room] if room else [], after)
        if console.as_json:
            for event in events:
                console.document(event)
                sys.stdout.flush()
            return Exit.DONE
        names: Mapping[str, str] | None = {} if room else None
        for message in rested(events, time.monotonic):
            names = _names(speaks, ()) if names is None else names
            called = "" if room else _called(message.get("room"), names)
            console.say(line_of(message, console.now_ms(), room=called))
            sys.stdout.flush()
        return Exit.DONE

    return run(way, console, do)


def who(way: Way, console: Console, *, everybody: bool) -> int:
    """`cchat who`."""

    def do(speaks: Speaks, console: Console) -> int:
        found = [each for each in speaks.who() if everybody or each.get("alive")]
        if console.as_json:
            console.document({"instances": found})
            return Exit.DONE
        now, names = console.now_ms(), _names(speaks, {str(room) for each in found for room in each.get("rooms") or ()})
        rows = [
            (
                each.get("name"),
                each.get("user"),
                each.get("kind"),
                each.get("status") if each.get("alive") else "offline",
                # Where the homeserver itself tells of an end, the last that was heard may be long ago.
                "now" if each.get("alive") else when(each.get("seen_at"), now),
                each.get("host"),
                ", ".join(_called(room, names) for room in each.get("rooms") or ()),
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
        if message is None:
            return _health(daemon_of(speaks).daemon(), console)
        if is_task(message):
            return _task(speaks, message, console)
        found = speaks.status(message)
        is_open = found.get("to") and found.get("state") not in OVER
        far = how_far(found, speaks.who() if is_open else (), console.now_ms())
        if console.as_json:
            console.document({**found, "sentence": far})
        else:
            console.say(f"{safe(str(found.get('id')))}: {far}")
            if answer := found.get("answer"):
                console.say(safe(str(answer)))
        return Exit.DONE

    return run(way, console, do)


def _task(speaks: Speaks, name: str, console: Console) -> int:
    found = speaks.task(name)
    far = how_task_is(found, speaks.who() if found.get("state") in _OPEN else (), console.now_ms())
    if console.as_json:
        console.document({**found, "sentence": far})
    else:
        console.say(f"{safe(str(found.get('id')))}: {far}")
    return Exit.DONE


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
    left = [f"{counts[what]} {what}" for what in ("running", "queued", "waiting to be sent") if counts.get(what)]
    console.say(f"Commands and parcels: {', '.join(left)}." if left else "Nothing runs, and nothing waits.")
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


def tasks(way: Way, console: Console, room: str | None, *, everything: bool) -> int:
    """`cchat tasks`."""

    def do(speaks: Speaks, console: Console) -> int:
        found = speaks.tasks(room, everything=everything)
        if console.as_json:
            console.document({"tasks": found})
            return Exit.DONE
        now = console.now_ms()
        names = {} if room else _names(speaks, {str(each.get("room")) for each in found})
        rows = [
            (
                each.get("id"),
                *(() if room else (_called(each.get("room"), names),)),
                each.get("state"),
                one_line(str(each.get("title")), _TITLE),
                each.get("by"),
                each.get("to"),
                when(each["deadline"], now) if each.get("deadline") else "",
                one_line(str(each.get("note") or ""), _TITLE),
            )
            for each in found
        ]
        columns = ("task", *(() if room else ("room",)), "state", "title", "by", "to", "until", "news")
        console.table(columns, rows, nothing="No task is open. cchat tasks --all lists the others, too.")
        return Exit.DONE

    return run(way, console, do)


def update(way: Way, console: Console, task: str, step: str, *, room: str | None, note: str) -> int:
    """`cchat tasks update`."""
    return run(way, console, lambda speaks, out: tell_task(speaks.update(room, task, step, note), out))
