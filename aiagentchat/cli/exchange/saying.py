"""`cchat send`, `cchat ask` and `cchat tasks assign`: what is said, under a key that it has before its first try."""

import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import typer

from aiagentchat.cli.exchange.console import Console, complain
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.places import Way
from aiagentchat.cli.exchange.running import address_of, run
from aiagentchat.cli.exchange.sentences import how_far
from aiagentchat.cli.exchange.wishes import Json, Speaks, Words, moment_of, seconds_of
from aiagentchat.cli.safe import safe
from aiagentchat.core.exchange import MOST_BODY

_ENDS: Mapping[str, Exit] = {"answered": Exit.DONE, "refused": Exit.REFUSED, "expired": Exit.EXPIRED}


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
        wish = replace(given, to=address_of(speaks, given.to, waits=how.waits))
        message = _asked(speaks, wish, key, seconds) if how.waits else speaks.send(wish, key)
        if console.as_json:
            console.document(message)
        if not how.waits:
            return _sent(message, console)
        return _waited(message, console, how.timeout, () if message.get("state") in _ENDS else _who(speaks))

    return run(way, console, do)


def _asked(speaks: Speaks, wish: Words, key: str, seconds: int) -> Json:
    try:
        return speaks.ask(wish, key, seconds)
    except KeyboardInterrupt:
        # After the ^C that the terminal shows.
        typer.echo(f"\ncchat: {speaks.given_up(key)}", err=True)
        raise


def _who(speaks: Speaks) -> Sequence[Json] | None:
    """Who is there, for a message that was said already: what fails now must not say it again."""
    try:
        return speaks.who()
    except NotDone:
        return None


def _sent(message: Json, console: Console) -> int:
    if not console.as_json:
        console.say(f"{message.get('state')}: {message.get('id')}")
    return Exit.DONE


def _waited(message: Json, console: Console, timeout: str, instances: Sequence[Json] | None) -> int:
    state = str(message.get("state"))
    if state == "answered" and not console.as_json:
        console.say(safe(str(message.get("answer", ""))))
    elif state not in _ENDS:
        far = how_far(message, instances, console.now_ms())
        typer.echo(f"cchat: no answer within {timeout}: {far}. cchat status {message.get('id')} tells more", err=True)
    elif state != "answered":
        typer.echo(f"cchat: {how_far(message, (), console.now_ms())}", err=True)
    return _ENDS.get(state, Exit.NO_ANSWER)


def assign(way: Way, console: Console, given: Words, words: Sequence[str], how: Saying) -> int:
    """`cchat tasks assign`."""
    try:
        text = text_of(words)
        deadline = moment_of(how.expires, "--deadline", console.now_ms(), ahead=True) if how.expires else None
    except NotDone as error:
        return complain(error, console)
    key = how.key or uuid.uuid4().hex

    def do(speaks: Speaks, console: Console) -> int:
        to = address_of(speaks, given.to, waits=False) or ""
        return tell_task(speaks.assign(given.room, to, text, deadline=deadline, key=key), console)

    return run(way, console, do)


def tell_task(task: Json, console: Console) -> int:
    """What has become of it."""
    if console.as_json:
        console.document(task)
    else:
        console.say(f"{safe(str(task.get('state')))}: {safe(str(task.get('id')))}")
    return Exit.DONE
