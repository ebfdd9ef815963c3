"""The room reads sentences."""

import dataclasses
from typing import Any

import pytest

from aiagentchat.core.access import Grant, Hindrance, Role
from aiagentchat.core.agent_events import Failure
from aiagentchat.core.health import GatewayHealth, GatewayState
from aiagentchat.core.ids import RoomId, SessionId, UserId
from aiagentchat.core.isolation import Held, Isolation, RunLimits
from aiagentchat.render import words

SESSION = SessionId("3f2a77aa-0000")
BOB = UserId("@bob:hs")


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0.0 s"),
        (12_345, "12.3 s"),
        (59_999, "59.9 s"),
        (125_000, "2 min 05 s"),
        (3_720_000, "1 h 02 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_durations(milliseconds: int, expected: str) -> None:
    assert words.duration(milliseconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (300, "5 minutes"), (7200, "2 hours")],
)
def test_periods(seconds: int, expected: str) -> None:
    assert words.period(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (4800, "1 h 20 min")],
)
def test_lengths_as_one_says_them(seconds: float, expected: str) -> None:
    assert words.about(seconds) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (1_795_640_400_000, "at 2026-11-25 21:00 UTC (in 2 h 13 min)"),
        (1_795_632_420_000 - 1, "at 2026-11-25 18:46 UTC (in 0 s)"),
    ],
)
def test_a_moment_is_the_same_for_everybody_in_the_room(milliseconds: int, expected: str) -> None:
    assert words.moment(milliseconds, 1_795_632_420_000) == expected


@pytest.mark.parametrize(
    ("micro_usd", "expected"),
    [(13_249, "$0.0132"), (13_250, "$0.0133"), (40, "$0.0000"), (999_999, "$1.0000"), (12_299_999, "$12.30")],
)
def test_money(micro_usd: int, expected: str) -> None:
    assert words.money(micro_usd) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(1, "1 token"), (950, "950 tokens"), (4_250, "4.2k tokens"), (1_300_000, "1.3M tokens")]
)
def test_tokens(number: int, expected: str) -> None:
    assert words.tokens(number) == expected


def test_the_footer_leaves_away_what_is_not_known() -> None:
    known = words.footer(
        duration_ms=12_345, cost_micro_usd=13_200, input_tokens=4_000, output_tokens=200, session="fix-the-build"
    )
    unknown = words.footer(duration_ms=400, cost_micro_usd=0, input_tokens=0, output_tokens=0, session="3f2a")

    assert known == "— 12.3 s · $0.0132 · 4.2k tokens · session fix-the-build"
    assert unknown == "— 0.4 s · session 3f2a"


def test_the_footer_says_what_is_not_paid_and_what_has_changed() -> None:
    text = words.footer(
        duration_ms=400,
        cost_micro_usd=13_200,
        input_tokens=0,
        output_tokens=0,
        session="3f2a",
        is_billed=False,
        files_changed=3,
    )

    assert text == "— 0.4 s · $0.0132 (API price, not billed) · 3 files changed · session 3f2a"


@pytest.mark.parametrize("failure", [None, *Failure])
def test_every_failure_has_a_sentence(failure: Failure | None) -> None:
    assert words.failed(failure).endswith(".")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("processes", "it had more than 7 processes and threads at once (`limits.processes` of this room)"),
        ("memory", "it used more than 7 MiB of memory (`limits.memory` of this room)"),
        ("file_size", "a file that it wrote reached 7 MiB (`limits.file_size` of this room)"),
        ("workspace_size", "outgrew 7 MiB (`limits.workspace_size` of this room)"),
    ],
)
def test_a_limit_that_was_reached_is_named_with_its_key(limit: str, said: str) -> None:
    sentence = words.limit_reached(limit, 7)

    assert sentence.startswith("This turn was ended: ")
    assert f"{said}. What it had done until then is done; " in sentence
    assert ("have something deleted" in sentence) == (limit == "workspace_size")


def test_every_limit_that_a_turn_can_reach_has_words_of_its_own() -> None:
    limits = {field.name for field in dataclasses.fields(RunLimits)} - {"niceness"}

    assert [limit for limit in limits if "may use no more" in words.limit_reached(limit, 7)] == []


@pytest.mark.parametrize(
    ("sentence", "part"),
    [
        pytest.param(words.timed_out(300), "longer than 5 minutes", id="timed out"),
        pytest.param(words.working(75), "Working for 1 min.", id="nothing to show"),
        pytest.param(words.goes_on_in_file(30), "longer than 30 KB: all of it comes as a file", id="too long"),
        pytest.param(words.whole_answer(312_001), "(313 KB)", id="the file"),
        pytest.param(words.thought("a\n\nb"), "> 💭 a\n> \n> b", id="a thought"),
        pytest.param(words.steps_folded(2), "2 steps", id="a fold"),
        pytest.param(words.stopped(BOB), "Stopped by `@bob:hs`.", id="stopped"),
        pytest.param(words.queue_place(1), "yours is next", id="next in the queue"),
        pytest.param(words.queue_place(3), "2 before yours", id="later in the queue"),
        pytest.param(words.queue_full(20), "full (20 messages)", id="queue full"),
        pytest.param(words.host_blocked("pypi.org"), "reach `pypi.org`, which this room may not", id="host blocked"),
        pytest.param(words.host_blocked("pypi.org"), "`network_hosts` of this room", id="host blocked names the key"),
        pytest.param(words.host_blocked("x`\n**y\u202e"), "``x` **y\\u202e``", id="host blocked, whatever its name"),
        pytest.param(words.OTHER_HOSTS_BLOCKED, "`network: allowlist`", id="more hosts blocked"),
        pytest.param(words.limit_reached("sails", 3), "no more than 3 (`limits.sails` of", id="a limit without words"),
        pytest.param(words.rests(5), "the next turn here waits 5.0 s", id="a room rests"),
        pytest.param(words.waits(5), "it begins in 5.0 s", id="a message while it rests"),
        pytest.param(words.refused(BOB, "back`end"), "add `@bob:hs` to `users`", id="refused names the sender"),
        pytest.param(words.refused(BOB, "back`end"), "listed for ``back`end``", id="refused names the room"),
        pytest.param(words.unknown_command("stopp", "stop"), "Did you mean `/stop`?", id="nearest command"),
        pytest.param(words.unknown_command("x\n**y", None), "`/x **y`, so nothing was run. `/help`", id="no nearest"),
        pytest.param(words.session_replaced("tea", "tea-2"), "(session tea-2)", id="session lost"),
        pytest.param(words.session_set_aside("tea", "tea-2"), "(session tea), so I", id="set aside"),
        pytest.param(words.session_taken_back("tea"), "the old one (session tea)", id="not set aside after all"),
        pytest.param(words.last_minute(60), "stopped in 1 min. `/timeout +10m`", id="the last minute"),
        pytest.param(words.time_left(300, 200, stands=False), "5 minutes; 3 min are left. `/timeout", id="time left"),
        pytest.param(words.time_left(300, 200, stands=True), "left, and its clock stands still", id="time that stands"),
        pytest.param(words.time_set(900, 700), "15 minutes in all; 11 min are left", id="time was given"),
        pytest.param(words.time_not_understood("`soon"), "`` `soon `` is no time", id="no time"),
        pytest.param(words.time_too_long(604_800), "7 d 0 h at most", id="too much time"),
        pytest.param(words.time_too_short(61), "run for 1 min already", id="too little time"),
        pytest.param(words.still_working(130), "silent for 2 min", id="silence"),
        pytest.param(words.api_retry(529, 1, 4), "is overloaded (529): try 2 of at most 5", id="overloaded"),
        pytest.param(words.api_retry(None, 1, 4), "does not answer: try 2", id="no answer"),
        pytest.param(words.limit_waited_for(60_000, 0), "1970-01-01 00:01 UTC (in 1 min); until then", id="waits"),
        pytest.param(words.usage_limit_reached(60_000, 0), "(in 1 min): `/retry` runs it", id="does not wait"),
        pytest.param(words.go_on_after_limit("make tea"), "working on:\n\nmake tea", id="go on"),
        pytest.param(words.session_resumed("tea"), "session tea", id="session in use"),
        pytest.param(words.version("1.2.3"), "aiagentchat 1.2.3", id="version"),
        pytest.param(words.approval_allowed(BOB), "✅ Allowed once by `@bob:hs`.", id="allowed"),
        pytest.param(words.approval_denied(BOB, " "), "Denied by `@bob:hs`. It was not run", id="denied"),
        pytest.param(words.approval_denied(BOB, "too *risky*"), "`@bob:hs`: `too *risky*`.", id="denied with a reason"),
        pytest.param(words.approval_expired(60), "in 60 min", id="expired"),
        pytest.param(words.approval_already_answered(BOB), "closed by `@bob:hs`", id="too late"),
        pytest.param(words.approval_already_answered(None), "already closed,", id="too late, nobody answered"),
        pytest.param(words.room_not_known(RoomId("!r:hs"), 7200), '`- {id: "!r:hs"}` to', id="invited by a user"),
        pytest.param(words.room_not_known(RoomId("!r:hs"), 7200), "I leave in 2 hours.", id="not for ever"),
        pytest.param(words.setup_offered(86_400), "`/setup name` gives its folder a name", id="invited by an admin"),
        pytest.param(words.setup_done("tea", BOB), "its folder is `tea`. `@bob:hs` is its admin", id="set up"),
        pytest.param(words.direct_made("bob", BOB), "Hello `@bob:hs`! I work in this chat now", id="direct chat"),
        pytest.param(words.setup_removed(600), "I leave in 10 minutes; until then `/setup`", id="taken away"),
        pytest.param(words.already_set_up("tea", None), "`tea`: it is in config.yaml.", id="set up in config.yaml"),
        pytest.param(words.already_set_up("tea", BOB), "`tea`: `@bob:hs` has set it up;", id="set up before"),
        pytest.param(words.setup_not_a_name("../x"), "`../x` is no name for a folder", id="no name"),
        pytest.param(words.setup_taken("tea"), "`tea` is the folder of another room, or was", id="folder taken"),
        pytest.param(words.setup_keeps("tea"), "had the folder `tea` before", id="folder kept"),
        pytest.param(words.setup_too_many(100), "100 rooms were made in chat already", id="too many rooms"),
        pytest.param(
            words.denied_for_agent(BOB, "too risky"), "@bob:hs in the room denied this: too risky", id="denial"
        ),
        pytest.param(words.denied_for_agent(None, ""), "The room denied this, without giving", id="bare denial"),
    ],
)
def test_sentences_say_what_they_are_about(sentence: str, part: str) -> None:
    assert part in sentence


def status_text(**told: Any) -> str:
    """What /status says of a room in which nothing happens, but for what is told."""
    quiet: dict[str, Any] = {
        "room": "x",
        "workspace": "x",
        "agent": "claude",
        "model": None,
        "session": None,
        "running_ms": None,
        "queued": 0,
        "warm": False,
        "version": "1.2.3",
        "uptime_ms": 0,
        "held": Held(Isolation.STRICT),
    }
    return words.status_text(words.Status(**{**quiet, **told}))


def test_status_of_a_working_room() -> None:
    told = status_text(
        room="backend",
        workspace="rooms/backend",
        model="opus",
        session="fix-the-build",
        running_ms=65_000,
        queued=1,
        warm=True,
        uptime_ms=3_600_000,
        heard_ms=1_200,
        unsent=1,
    )

    assert told == (
        "- Room: `backend`, workspace `rooms/backend`\n"
        "- Agent: `claude`, model `opus`\n"
        "- Session: `fix-the-build`\n"
        "- Running: a turn, for 1 min 05 s; 1 message queued\n"
        "- Agent's process: warm; isolation: strict\n"
        "- Homeserver: heard 1.2 s ago; 1 message to send\n"
        "- Gateway for programs: off, as config.yaml says\n"
        "- aiagentchat 1.2.3, up for 1 h 00 min"
    )


def test_status_of_a_daemon_in_trouble() -> None:
    told = status_text(
        heard_ms=90_000, failures=2, restarts=1, unsent=3, limited=True, stalled="no space", stalls=2, draining=True
    )

    assert told.splitlines()[-5:] == [
        (
            "- Homeserver: heard 1 min 30 s ago, 2 syncs failed since, lost and found 1 time; "
            "3 messages to send, held back by its rate limit"
        ),
        "- Gateway for programs: off, as config.yaml says",
        "- Database: no space; had to wait 2 times",
        "- aiagentchat 1.2.3, up for 0.0 s",
        "- About to be restarted: what is queued runs afterwards",
    ]


def test_status_after_a_trouble_that_is_over() -> None:
    told = status_text(stalls=1)

    assert "- Homeserver: not heard yet; 0 messages to send\n" in told
    assert "- Database: works; had to wait 1 time\n" in told


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        (GatewayHealth(state=GatewayState.OPEN, port=8870), "open at its socket and at 127.0.0.1:8870"),
        (GatewayHealth(state=GatewayState.OPEN), "open at its socket"),
        (
            GatewayHealth(state=GatewayState.OPEN, lacks=8870),
            "open at its socket alone, because something else has port 8870",
        ),
        (GatewayHealth(state=GatewayState.OPENING), "is being opened"),
        (GatewayHealth(state=GatewayState.NOT_OPEN), "could not be opened; the daemon's log says why"),
        (
            GatewayHealth(state=GatewayState.NOT_APART),
            (
                "off, because in the isolation landlock what runs here could get at it; "
                "`gateway: {enabled: true}` in config.yaml opens it all the same"
            ),
        ),
    ],
)
def test_status_says_how_programs_get_at_the_daemon(gateway: GatewayHealth, told: str) -> None:
    status = status_text(held=Held(Isolation.LANDLOCK), gateway=gateway)

    assert f"- Gateway for programs: {told}\n" in status


def test_status_of_a_fresh_room_without_isolation() -> None:
    told = status_text(room="", held=Held(Isolation.NONE))

    assert "- Room: `?`" in told
    assert "- Agent: `claude`\n- Session: none yet\n- Running: nothing; 0 messages queued\n" in told
    assert "starts with the next message; isolation: none\n" in told
    assert told.endswith(f"\n\n{words.isolation_warning(Held(Isolation.NONE))}")


def test_status_of_a_room_that_holds_the_subscription_and_is_held_by_nothing() -> None:
    held = Held(Isolation.NONE)
    told = status_text(held=held, subscription_in_room=True)

    assert told.endswith(f"\n\n{words.isolation_warning(held)}\n\n{words.SUBSCRIPTION_IN_ROOM}")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(Held(Isolation.STRICT), None, id="strict holds"),
        pytest.param(Held(Isolation.USERS, 4), None, id="users of their own hold"),
        pytest.param(
            Held(Isolation.USERS, 3),
            "what the agent runs can reach any host in spite of `network`.",
            id="users of their own on an old kernel",
        ),
        pytest.param(
            Held(Isolation.NONE, 7), "whatever the daemon's own user can. Only use it for yourself.", id="none"
        ),
        pytest.param(
            Held(Isolation.LANDLOCK, 7),
            "other rooms, but can change modes and times of files whose path it knows.",
            id="the newest Landlock",
        ),
        pytest.param(
            Held(Isolation.LANDLOCK, 2),
            "whose path it knows, truncate them, reach any host in spite of `network` and signal the daemon.",
            id="an old Landlock",
        ),
    ],
)
def test_what_isolation_does_not_hold_back_is_said(held: Held, expected: str | None) -> None:
    warning = words.isolation_warning(held)

    assert warning is None if expected is None else (warning or "").endswith(expected)


def test_leftovers_are_counted() -> None:
    assert words.leftovers(1) == "1 process of a run from before the last restart still ran here; it was ended."
    assert words.leftovers(3).startswith("3 processes of a run")


# ── who may ──


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        pytest.param("@anna:hs", "`@anna:hs`", id="as it is"),
        pytest.param("@Anna:hs", "`@Anna:hs`", id="to the letter"),
        pytest.param("@\u0430nna:hs", "`@\\u0430nna:hs`", id="a letter that looks the same"),
        pytest.param("@anna\u200b:hs", "`@anna\\u200b:hs`", id="a letter that is not seen"),
        pytest.param("@an\u202ena:hs", "`@an\\u202ena:hs`", id="a letter that turns the others around"),
        pytest.param("@\U0001d41ana:hs", "`@\\U0001d41ana:hs`", id="a letter of mathematics"),
        pytest.param("@a`b\n:hs", "``@a`b\\n:hs``", id="what would end the code"),
        pytest.param("@" + "a" * 250 + ":hs", f"`@{'a' * 250}:hs`", id="whole, however long"),
    ],
)
def test_an_id_is_shown_so_that_it_cannot_pass_for_another(user: str, shown: str) -> None:
    assert words.person(UserId(user)) == shown


def test_what_is_longer_than_an_id_is_cut() -> None:
    assert len(words.person(UserId("@" + "ä" * 5000))) < 1000


def test_a_question_says_who_asked_and_who_may_answer() -> None:
    anna, bert, rule = UserId("@anna:hs"), UserId("@bert:hs"), UserId("@*:boss")

    assert words.approval_for(anna, ()) == "Asked for by `@anna:hs`, who alone may answer: this room has no admins."
    assert words.approval_for(anna, [bert, rule]) == (
        "Asked for by `@anna:hs`. They may answer, and the admins of this room: `@bert:hs`, `@*:boss`."
    )


def test_of_many_people_some_are_named() -> None:
    many = [UserId(f"@u{number}:hs") for number in range(words.PEOPLE_SHOWN + 3)]
    grants = [Grant(room=RoomId("!r"), user=user, role=Role.USER, by=many[0], given_at=0) for user in many]

    assert words.approval_for(many[0], many).endswith("`@u19:hs`, 3 more.")
    assert words.grants_listed(grants, 0).endswith(
        "`@u19:hs`: user by `/allow` of `@u0:hs`, until it is taken back\n- … and 3 more"
    )


@pytest.mark.parametrize(
    ("power", "told"),
    [
        pytest.param(None, "theirs is not known;", id="nobody knows"),
        pytest.param(-1, "theirs is -1;", id="a level"),
        pytest.param(2**53, "theirs is that of who made the room;", id="above all"),
    ],
)
def test_a_power_is_named(power: int | None, told: str) -> None:
    assert told in words.power_too_low(UserId("@anna:hs"), power, {Role.USER: 0})


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        pytest.param(words.not_yours_to_answer(None), "Only admins of this room may answer", id="nobodys question"),
        pytest.param(words.but_power(None), "leaves nothing of it", id="power leaves nothing"),
        pytest.param(words.but_power(Role.VIEWER), "leaves a viewer of it", id="power leaves a viewer"),
        pytest.param(words.turned_away(UserId("@a:hs"), Hindrance.LEFT), "no longer in this room", id="left"),
        pytest.param(words.turned_away(UserId("@a:hs"), Hindrance.NOT_ALLOWED), "any more", id="not allowed"),
        pytest.param(words.turned_away(UserId("@a:hs"), Hindrance.UNKNOWN), "did not say whether", id="unknown"),
    ],
)
def test_what_is_said_of_access(text: str, holds: str) -> None:
    assert holds in text


def test_status_says_that_the_device_is_not_signed() -> None:
    assert "- Encryption: my device is not signed by my account" in status_text(signed=False)
    assert "Encryption" not in status_text()


def test_status_counts_what_cannot_be_read() -> None:
    assert "- Encryption: 2 messages cannot be read yet; the key is missing" in status_text(sealed=2)
