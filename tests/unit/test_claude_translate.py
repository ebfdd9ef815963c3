"""From the CLI's lines to our events: every kind that was seen, and any that was not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.agents.claude_code.translate import Translator
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApiRetry,
    ApprovalAsked,
    ApprovalWithdrawn,
    CostSoFar,
    Ending,
    Failure,
    Folded,
    NotFolded,
    PlanChanged,
    PlanState,
    PlanStep,
    TextBlockEnded,
    TextDelta,
    TextRetracted,
    Thought,
    ToolUsed,
    TurnEnded,
    TurnStarted,
    Unrecognised,
    UsageLimited,
)
from aiagentchat.core.commands import TurnRecord
from aiagentchat.core.ids import SessionId
from tests.unit.claude_stage import text_of

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RECORDINGS = sorted(FIXTURES.glob("claude_*.jsonl"))
SESSION = SessionId("87f7")
OURS = "5e551011-0000-4000-8000-0000000000aa"

Line = dict[str, Any]


def feed(*lines: Line, uuid: str = OURS) -> list[AgentEvent]:
    translator = Translator(uuid)
    return [event for line in lines for event in translator.line(json.dumps(line).encode())]


def start() -> Line:
    return stream("message_start", message={"id": "msg_1"})


def stop() -> Line:
    return stream("message_stop")


def piece(text: str) -> Line:
    return stream("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def stream(kind: str, **event: object) -> Line:
    return {"type": "stream_event", "event": {"type": kind, **event}, "parent_tool_use_id": None}


def whole(*blocks: Line, **more: object) -> Line:
    message = {"role": "assistant", "content": list(blocks), "stop_reason": None}
    return {"type": "assistant", "message": message, "parent_tool_use_id": None, **more}


def text(said: str) -> Line:
    return {"type": "text", "text": said}


def system(subtype: str, **more: object) -> Line:
    return {"type": "system", "subtype": subtype, **more}


def rate_limit(status: str, **info: object) -> Line:
    return {"type": "rate_limit_event", "rate_limit_info": {"status": status, **info}}


def result(**more: object) -> Line:
    return {"type": "result", "subtype": "success", "is_error": False, "terminal_reason": "completed", **more}


def failed(failure: Failure) -> list[AgentEvent]:
    return [TurnEnded(ending=Ending.FAILED, failure=failure)]


# ── each kind of line ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "events"),
    [
        pytest.param(system("init", session_id="87f7", tools=[]), [TurnStarted(SESSION)], id="init"),
        pytest.param(
            whole({"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "echo hi"}}),
            [ToolUsed("Bash", {"command": "echo hi"})],
            id="a tool",
        ),
        pytest.param(whole(text("so")), [TextDelta("so"), TextBlockEnded()], id="text that was not streamed"),
        pytest.param(whole(text("")), [TextBlockEnded()], id="no text"),
        pytest.param(whole({"type": "thinking", "thinking": "hm"}), [Thought("hm")], id="thinking"),
        pytest.param(whole({"type": "thinking", "thinking": " "}), [], id="thinking that is not told"),
        pytest.param(
            whole({"type": "tool_use", "id": "t1", "name": "TodoWrite", "input": {"todos": [{"content": "a"}]}}),
            [PlanChanged((PlanStep("a", PlanState.TODO),))],
            id="a plan",
        ),
        pytest.param(whole({"type": "redacted_thinking", "data": "x"}), [], id="hidden thinking"),
        pytest.param(whole(text("API Error"), error="server_error"), [], id="the CLI's own words about an error"),
        pytest.param({"type": "user", "message": {"content": [{"type": "tool_result"}]}}, [], id="a tool's result"),
        pytest.param(piece("one tw"), [TextDelta("one tw")], id="a piece of text"),
        pytest.param(piece(""), [], id="an empty piece"),
        pytest.param(stream("content_block_delta", delta={"type": "input_json_delta"}), [], id="a piece of input"),
        pytest.param(stream("content_block_stop", index=0), [], id="a block that ends"),
        pytest.param(stream("ping"), [], id="a ping"),
        pytest.param(stream("error", error={}), [Unrecognised("stream.error")], id="an error in the stream"),
        pytest.param(system("status", status="requesting"), [], id="status"),
        pytest.param(system("status", status=None, permissionMode="plan"), [], id="a change of mode"),
        pytest.param(
            system("api_retry", attempt=1, max_retries=10, error_status=401, error="authentication_failed"),
            [ApiRetry(1, 10, 401)],
            id="a retry",
        ),
        pytest.param(
            system("api_retry", attempt=2, max_retries=10, error_status=None),
            [ApiRetry(2, 10, None)],
            id="a retry without an answer",
        ),
        pytest.param(system("permission_denied", tool_name="Bash"), [], id="denied by a rule"),
        *[
            pytest.param(system(kind), [], id=kind)
            for kind in (
                "task_started",
                "task_notification",
                "task_updated",
                "task_progress",
                "background_tasks_changed",
                "thinking_tokens",
                "informational",
                "model_fallback",
                "compact_boundary",
            )
        ],
        pytest.param(system("session_state_changed", state="running"), [], id="running"),
        pytest.param(system("session_state_changed", state="requires_action"), [], id="waiting"),
        pytest.param(system("session_state_changed", state="idle"), [], id="idle"),
        pytest.param(system("hologram"), [Unrecognised("system.hologram")], id="an unknown system line"),
        pytest.param(
            {
                "type": "control_request",
                "request_id": "r1",
                "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "touch b"}},
            },
            [ApprovalAsked("r1", "Bash", {"command": "touch b"})],
            id="a question",
        ),
        pytest.param(
            {"type": "control_request", "request_id": "r1", "request": {"subtype": "can_use_tool", "input": [1]}},
            [ApprovalAsked("r1", "?", {})],
            id="a question without a form",
        ),
        pytest.param(
            {"type": "control_request", "request_id": "r1", "request": {"subtype": "hook_callback"}},
            [Unrecognised("control_request.hook_callback")],
            id="another question",
        ),
        pytest.param(
            {"type": "control_cancel_request", "request_id": "r1"}, [ApprovalWithdrawn("r1")], id="taken back"
        ),
        pytest.param({"type": "control_response", "response": {"subtype": "success"}}, [], id="an answer to us"),
        *[
            pytest.param({"type": "command_lifecycle", "command_uuid": OURS, "state": state}, [], id=state)
            for state in ("queued", "started")
        ],
        pytest.param(
            {"type": "command_lifecycle", "command_uuid": OURS, "state": "completed"},
            [TurnEnded(ending=Ending.COMPLETED)],
            id="answered in an earlier life",
        ),
        pytest.param(
            {"type": "command_lifecycle", "command_uuid": OURS, "state": "cancelled"},
            [TurnEnded(ending=Ending.INTERRUPTED)],
            id="cancelled before it began",
        ),
        pytest.param(
            {"type": "command_lifecycle", "command_uuid": "another", "state": "completed"}, [], id="another's end"
        ),
        pytest.param(
            {"type": "command_lifecycle", "command_uuid": "another", "state": "started"},
            [Folded("another")],
            id="another was read in this turn",
        ),
        pytest.param(
            {"type": "command_lifecycle", "command_uuid": "another", "state": "cancelled"},
            [NotFolded("another")],
            id="another was dropped",
        ),
        pytest.param(
            result(user_message_uuids=[OURS, "another", 7]),
            [Folded("another"), TurnEnded(ending=Ending.COMPLETED)],
            id="an end that says what was read",
        ),
        pytest.param({"type": "conversation_reset"}, [], id="a reset, which the next init tells of"),
        pytest.param({"type": "rate_limit_event"}, [], id="a rate limit without a word about it"),
        pytest.param(rate_limit("allowed", resetsAt=1_795_640_400), [], id="a usage limit that is not reached"),
        pytest.param(
            rate_limit("rejected", resetsAt=1_795_640_400), [UsageLimited(1_795_640_400_000)], id="a usage limit"
        ),
        *[
            pytest.param(rate_limit("rejected", **more), [UsageLimited(None)], id=f"a usage limit until {more}")
            for more in ({}, {"resetsAt": None}, {"resetsAt": 0}, {"resetsAt": "soon"}, {"resetsAt": 253_402_300_800})
        ],
        pytest.param({"type": "keep_alive"}, [Unrecognised("keep_alive")], id="an unknown type"),
        pytest.param({"type": "x" * 500}, [Unrecognised("x" * 80)], id="an unknown type without measure"),
        pytest.param({"type": 7}, [Unrecognised("no type")], id="a type that is none"),
        pytest.param(whole({"type": "image"}), [Unrecognised("assistant.image")], id="an unknown block"),
        pytest.param(whole({}), [Unrecognised("assistant block without a type")], id="a block that is none"),
    ],
)
def test_a_line_means_this(line: Line, events: list[AgentEvent]) -> None:
    assert feed(line) == events


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        pytest.param(b"", "not json", id="empty"),
        pytest.param(b"Killed", "not json", id="words"),
        pytest.param(b'{"type": "resu', "not json", id="half a line"),
        pytest.param(b"\xff\xfe\x00", "not json", id="binary"),
        pytest.param(b"[" * 100_000, "not json", id="nested without end"),
        pytest.param(b"9" * 10_000, "not json", id="a number without end"),
        pytest.param(b"null", "no object", id="null"),
        pytest.param(b"[]", "no object", id="a list"),
    ],
)
def test_a_line_that_is_no_object_is_counted(raw: bytes, kind: str) -> None:
    assert Translator().line(raw) == [Unrecognised(kind)]


@pytest.mark.parametrize(
    "line",
    [
        piece("inside") | {"parent_tool_use_id": "toolu_1"},
        whole(text("inside")) | {"parent_tool_use_id": "toolu_1"},
        whole({"type": "tool_use", "name": "Bash", "input": {}}) | {"parent_tool_use_id": "toolu_1"},
        {"type": "user", "message": {}, "parent_tool_use_id": "toolu_1"},
    ],
)
def test_a_subagent_talks_to_its_agent_and_not_to_the_room(line: Line) -> None:
    assert feed(line) == []


def test_what_a_subagent_needs_approved_is_asked_all_the_same() -> None:
    asked = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {}, "agent_id": "a1"}
    line = {"type": "control_request", "request_id": "r1", "request": asked, "parent_tool_use_id": "toolu_1"}

    assert feed(line) == [ApprovalAsked("r1", "Bash", {})]


def test_a_question_that_we_cannot_answer_is_remembered_to_be_declined() -> None:
    translator = Translator()
    translator.value({"type": "control_request", "request_id": "r1", "request": {"subtype": "mcp_message"}})

    assert translator.declined == ["r1"]


# ── text: neither lost nor doubled ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([start(), piece("one "), piece("two"), whole(text("one two")), stop()], "one two", id="streamed"),
        pytest.param([whole(text("one two"))], "one two", id="only whole"),
        pytest.param(
            [start(), piece("one "), whole(text("one two")), stop()], "one two", id="the last pieces did not come"
        ),
        pytest.param([start(), piece("one two"), whole(text("one")), stop()], "one two", id="aborted, and cut shorter"),
        pytest.param(
            [start(), piece("one "), start(), piece("one two"), whole(text("one two")), stop()],
            "one two",
            id="dropped, and streamed again",
        ),
        pytest.param(
            [start(), piece("one "), stop(), start(), piece("one two"), whole(text("one two")), stop()],
            "one two",
            id="dropped, closed by the CLI itself, and streamed again",
        ),
        pytest.param([start(), piece("one "), whole(text("one two"))], "one two", id="dropped, and then came whole"),
        pytest.param(
            [start(), piece("one "), start(), whole(text("uno due"))], "uno due", id="dropped, and said otherwise"
        ),
        pytest.param([start(), piece("one "), whole(text("uno due"))], "uno due", id="the whole is another text"),
        pytest.param(
            [
                start(),
                piece("one "),
                whole(text("one ")),
                piece("two"),
                whole(text("two")),
                stop(),
                start(),
                piece(" three"),
                whole(text(" three")),
                stop(),
            ],
            "one two three",
            id="several blocks and messages",
        ),
        pytest.param(
            [start(), piece("one"), whole(text("one")), stop(), start(), piece("one"), whole(text("one")), stop()],
            "oneone",
            id="the same said twice on purpose",
        ),
    ],
)
def test_text_is_neither_lost_nor_doubled(lines: Sequence[Line], said: str) -> None:
    assert text_of(feed(*lines)) == said


@given(st.lists(st.text(max_size=8), max_size=5), st.text(max_size=8))
def test_however_text_is_cut_the_whole_is_said(parts: list[str], unstreamed: str) -> None:
    said = "".join(parts) + unstreamed

    assert text_of(feed(start(), *map(piece, parts), whole(text(said)), stop())) == said


def test_what_was_cut_off_is_taken_back_before_it_is_said_again() -> None:
    assert feed(start(), piece("one "), start(), piece("one two")) == [
        TextDelta("one "),
        TextRetracted(),
        TextDelta("one two"),
    ]


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "events"),
    [
        pytest.param({"result": "so"}, [TurnEnded(ending=Ending.COMPLETED, text="so")], id="done"),
        pytest.param({"result": None}, [TurnEnded(ending=Ending.COMPLETED)], id="done without a word"),
        *[
            pytest.param(
                {"terminal_reason": reason, "is_error": is_error}, [TurnEnded(ending=Ending.INTERRUPTED)], id=reason
            )
            for reason, is_error in (("aborted_tools", True), ("aborted_streaming", True), ("aborted_tools ", False))
        ],
        *[
            pytest.param({"is_error": True, **more}, failed(failure), id=f"{failure} by {next(iter(more))}")
            for more, failure in (
                ({"error": "authentication_failed"}, Failure.AUTHENTICATION),
                ({"api_error_status": 401}, Failure.AUTHENTICATION),
                ({"api_error_status": 403}, Failure.AUTHENTICATION),
                ({"api_error_type": "permission_error"}, Failure.AUTHENTICATION),
                ({"api_error_status": 404}, Failure.MODEL),
                ({"api_error_type": "not_found_error"}, Failure.MODEL),
                ({"error": "billing_error"}, Failure.BILLING),
                ({"api_error_status": 429}, Failure.RATE_LIMIT),
                ({"api_error": "usage_limit_reached"}, Failure.USAGE_LIMIT),
                ({"api_error_status": 529}, Failure.OVERLOADED),
                ({"api_error_type": "overloaded_error"}, Failure.OVERLOADED),
                ({"terminal_reason": "prompt_too_long", "api_error_status": 400}, Failure.TOO_LONG),
                ({"api_error_status": 413, "terminal_reason": "image_error"}, Failure.TOO_LONG),
                ({"subtype": "error_max_budget_usd"}, Failure.BUDGET),
                ({"api_error_status": 500}, Failure.API),
                ({"terminal_reason": "api_error"}, Failure.API),
                ({"subtype": "error_during_execution"}, Failure.UNKNOWN),
            )
        ],
    ],
)
def test_a_result_says_how_the_turn_ended(more: Line, events: list[AgentEvent]) -> None:
    assert feed(result(**more)) == events


def test_a_refusal_after_the_word_about_a_usage_limit_is_one() -> None:
    refused = rate_limit("rejected"), result(is_error=True, api_error_status=429)
    other = rate_limit("rejected"), result(is_error=True, api_error_status=401)

    assert feed(*refused) == [UsageLimited(None), *failed(Failure.USAGE_LIMIT)]
    assert feed(*other)[-1:] == failed(Failure.AUTHENTICATION)


def test_success_with_an_error_is_no_success() -> None:
    [ended] = feed(result(subtype="success", is_error=True, api_error_status=403, result="Failed to authenticate."))

    assert isinstance(ended, TurnEnded)
    assert (ended.ending, ended.text) == (Ending.FAILED, "")


def test_the_reason_may_come_before_the_result() -> None:
    events = feed(whole(text("Credit balance is too low"), error="billing_error"), result(is_error=True))

    assert events == failed(Failure.BILLING)


def usage(dollars: object, request: str = "r-cost-1") -> Line:
    answer = {"session": {"total_cost_usd": dollars}}
    return {"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": answer}}


def test_what_a_turn_costs_so_far_is_counted_from_its_beginning() -> None:
    translator = Translator(OURS)

    assert translator.value(usage(0.5)) == []
    assert translator.value(usage(0.5066)) == [CostSoFar(6_600)]
    assert translator.value(usage(1.5)) == [CostSoFar(1_000_000)]
    assert translator.value(usage("much")) == [CostSoFar(0)]
    assert translator.value(usage(9.0, "another")) == []


def test_a_program_that_cannot_say_what_it_costs_costs_nothing_so_far() -> None:
    refused = {"subtype": "error", "request_id": "r-cost-1", "error": "Unsupported control request subtype: get_usage"}

    assert feed(*[{"type": "control_response", "response": refused}] * 2) == [CostSoFar(0)]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        pytest.param([], False, id="nothing has happened"),
        pytest.param([whole(text("one"))], False, id="somebody has asked"),
        pytest.param([whole(text("one")), usage(0)], True, id="something happened while nobody had answered"),
        pytest.param([usage(0), system("status")], False, id="what costs nothing"),
        pytest.param(
            [usage(0), {"type": "user", "parent_tool_use_id": "x", "message": {"content": []}}], True, id="a subagent"
        ),
    ],
)
def test_the_cost_is_wanted_when_something_has_happened_and_nobody_has_asked(lines: list[Line], wanted: bool) -> None:
    translator = Translator(OURS)
    translator.cost_asked()
    for line in lines:
        translator.value(line)

    assert translator.wants_cost is wanted


def test_a_turn_costs_what_was_used_since_the_last_result() -> None:
    models = {"opus": {"costUSD": 0.0132}, "haiku": {"costUSD": 0.0001}}
    used = {
        "input_tokens": 2000,
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": 6000,
        "output_tokens": 100,
    }
    line = result(
        usage=used, duration_ms=187, total_cost_usd=99.0, model_usage_since_last_result=models, modelUsage=models
    )
    [ended] = feed(line)

    assert isinstance(ended, TurnEnded)
    assert ended.record == TurnRecord(duration_ms=187, cost_micro_usd=13_300, input_tokens=8_400, output_tokens=100)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "1e999", "9" * 400, '"3"', "null", "true", "[]"])
def test_numbers_that_are_none_count_as_nothing(number: str) -> None:
    raw = (
        f'{{"type": "result", "is_error": false, "duration_ms": {number}, "usage": {{"output_tokens": {number}}},'
        f' "model_usage_since_last_result": {{"opus": {{"costUSD": {number}}}}}}}'
    )

    assert Translator().line(raw.encode()) == [TurnEnded(ending=Ending.COMPLETED)]


@pytest.mark.parametrize(
    "errors", [[f"No conversation found with session ID: {SESSION}"], ["x", "No conversation found"]]
)
def test_a_lost_conversation_is_noticed(errors: list[str]) -> None:
    translator = Translator()
    translator.value(result(is_error=True, errors=errors))

    assert translator.session_lost


@pytest.mark.parametrize("errors", [None, 5, [], [7], {"a": "b"}, "text", ["[ede_diagnostic] …"]])
def test_other_errors_are_no_lost_conversation(errors: object) -> None:
    translator = Translator()
    translator.value(result(is_error=True, errors=errors))

    assert not translator.session_lost


def test_a_result_that_was_too_long_to_read_is_made_up_for_by_idle() -> None:
    translator = Translator()
    translator.value(system("session_state_changed", state="running"))
    lost = translator.too_long()
    idle = translator.value(system("session_state_changed", state="idle"))

    assert lost == [Unrecognised("line too long")]
    assert idle == [TurnEnded(ending=Ending.COMPLETED)]


def test_the_idle_of_the_turn_before_ends_nothing() -> None:
    translator = Translator()
    translator.too_long()

    assert translator.value(system("session_state_changed", state="idle")) == []


# ── anything at all ───────────────────────────────────────────────────────────────────────────────────────────────

_WORDS = st.sampled_from(
    [
        *("type", "subtype", "message", "content", "event", "delta", "text", "error", "errors", "result", "usage"),
        *("assistant", "stream_event", "system", "control_request", "control_cancel_request", "command_lifecycle"),
        *("init", "session_id", "request_id", "request", "can_use_tool", "tool_name", "input", "name", "tool_use"),
        *("text_delta", "message_start", "message_stop", "terminal_reason", "api_error_status", "is_error", OURS),
        *("api_retry", "attempt", "error_status", "state", "idle", "command_uuid", "model_usage_since_last_result"),
        *("rate_limit_event", "rate_limit_info", "status", "rejected", "resetsAt"),
        *("costUSD", "input_tokens", "duration_ms", "parent_tool_use_id", "aborted_tools", "session_state_changed"),
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=20,
)


@given(st.lists(_JSON, max_size=5))
def test_no_json_can_make_it_raise(values: list[Any]) -> None:
    translator = Translator(OURS)
    for value in values:
        for event in translator.line(json.dumps(value).encode()):
            json.dumps(getattr(event, "record", None), default=repr)


@given(st.binary(max_size=200))
def test_no_bytes_can_make_it_raise(raw: bytes) -> None:
    Translator().line(raw)


# ── recordings of the real CLI ────────────────────────────────────────────────────────────────────────────────────


def recorded(name: str) -> list[list[AgentEvent]]:
    """The events of each turn in a recording."""
    translator = Translator()
    turns: list[list[AgentEvent]] = [[]]
    for raw in (FIXTURES / f"claude_{name}.jsonl").read_bytes().splitlines():
        for event in translator.line(raw):
            turns[-1].append(event)
            turns.extend([[]] if isinstance(event, TurnEnded) else [])
    return turns[:-1]


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recording_holds_nothing_that_we_do_not_know(file: Path) -> None:
    translator = Translator()
    events = [event for raw in file.read_bytes().splitlines() for event in translator.line(raw)]

    assert [event for event in events if isinstance(event, Unrecognised)] == []
    assert translator.declined == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("text", ["one two three four", "second"], id="text"),
        pytest.param("tool", ["I will.done"], id="tool"),
        pytest.param("dropped_stream", ["alpha beta gamma delta"], id="dropped stream"),
        pytest.param("error_in_stream", ["alpha beta"], id="error in the stream"),
        pytest.param("retried", ["fine"], id="retried"),
        pytest.param("thinking", ["hi"], id="thinking"),
        pytest.param("max_tokens", ["part onepart two"], id="continued"),
        pytest.param("subagent", ["delegatingmain done"], id="subagent"),
        pytest.param("stopped_in_text", ["alpha beta", "second"], id="stopped in the text"),
        pytest.param("stopped_in_tool", ["go", "second"], id="stopped in a tool"),
        pytest.param("error_529", [""], id="nothing but the CLI's words about an error"),
    ],
)
def test_a_recording_says_this(name: str, said: list[str]) -> None:
    assert [text_of(turn) for turn in recorded(name)] == said


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("error_400", Failure.API),
        ("error_401", Failure.AUTHENTICATION),
        ("error_403", Failure.AUTHENTICATION),
        ("error_404", Failure.MODEL),
        ("error_413", Failure.TOO_LONG),
        ("error_429", Failure.RATE_LIMIT),
        ("usage_limit", Failure.USAGE_LIMIT),
        ("error_500", Failure.API),
        ("error_529", Failure.OVERLOADED),
        ("billing", Failure.BILLING),
        ("too_long", Failure.TOO_LONG),
        ("no_key", Failure.AUTHENTICATION),
        ("no_conversation", Failure.UNKNOWN),
    ],
)
def test_a_recorded_failure_is_this_one(name: str, failure: Failure) -> None:
    [turn] = recorded(name)
    ended = turn[-1]

    assert isinstance(ended, TurnEnded)
    assert (ended.ending, ended.failure) == (Ending.FAILED, failure)


def test_a_recorded_usage_limit_says_until_when_and_the_next_turn_goes_on() -> None:
    cut, after = recorded("usage_limit_in_turn")

    assert UsageLimited(1_795_640_400_000) in cut
    assert [event.tool for event in cut if isinstance(event, ToolUsed)] == ["Bash"]
    assert isinstance(cut[-1], TurnEnded)
    assert cut[-1].failure is Failure.USAGE_LIMIT
    assert (text_of(cut), text_of(after)) == ("First.", "after")


def test_a_recorded_answer_without_a_word_is_complete_and_empty() -> None:
    [turn] = recorded("empty")

    assert text_of(turn) == ""
    assert isinstance(turn[-1], TurnEnded)
    assert (turn[-1].ending, turn[-1].text) == (Ending.COMPLETED, "")


@pytest.mark.parametrize("name", ["stopped_in_tool", "stopped_in_text", "stopped_in_question"])
def test_a_recorded_stop_interrupts_one_turn_and_not_the_next(name: str) -> None:
    ends = [turn[-1] for turn in recorded(name)]

    assert [end.ending for end in ends if isinstance(end, TurnEnded)] == [Ending.INTERRUPTED, Ending.COMPLETED]


def test_a_recorded_question_is_withdrawn_by_a_stop() -> None:
    stopped = recorded("stopped_in_question")[0]
    [asked] = [event for event in stopped if isinstance(event, ApprovalAsked)]

    assert ApprovalWithdrawn(asked.request) in stopped


def test_a_recorded_turn_ends_only_once_with_its_own_prompt() -> None:
    lines = (FIXTURES / "claude_text.jsonl").read_bytes().splitlines()
    ours = next(json.loads(raw)["command_uuid"] for raw in lines if b"command_lifecycle" in raw)
    translator = Translator(ours)
    events = [event for raw in lines for event in translator.line(raw)]
    first = events.index(next(event for event in events if isinstance(event, TurnEnded)))

    assert text_of(events[:first]) == "one two three four"


@pytest.mark.parametrize(
    ("name", "ending"), [("answered_before", Ending.COMPLETED), ("stopped_early", Ending.INTERRUPTED)]
)
def test_a_recorded_prompt_without_a_result_ends_all_the_same(name: str, ending: Ending) -> None:
    lines = (FIXTURES / f"claude_{name}.jsonl").read_bytes().splitlines()
    ours = next(json.loads(raw)["command_uuid"] for raw in lines if b"command_lifecycle" in raw)
    translator = Translator(ours)
    ends = [event for raw in lines for event in translator.line(raw) if isinstance(event, TurnEnded)]

    assert ends[0] == TurnEnded(ending=ending)


def test_a_task_is_part_of_the_plan_once_the_cli_has_given_it_a_number() -> None:
    created = {"type": "tool_use", "id": "toolu_1", "name": "TaskCreate", "input": {"subject": "Boil water"}}
    answered = {
        "type": "user",
        "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
        "tool_use_result": {"task": {"id": "4", "subject": "Boil water"}},
    }
    updated = {
        "type": "tool_use",
        "id": "toolu_2",
        "name": "TaskUpdate",
        "input": {"taskId": "4", "status": "in_progress"},
    }

    assert feed(whole(created), answered, whole(updated)) == [
        PlanChanged((PlanStep("Boil water", PlanState.TODO),)),
        PlanChanged((PlanStep("Boil water", PlanState.DOING),)),
    ]


def test_what_a_shorter_conversation_goes_on_with_is_not_said_again() -> None:
    translator = Translator()
    said = {"type": "assistant", "uuid": "a", "message": {"content": [{"type": "text", "text": "from before"}]}}
    boundary = {
        "type": "system",
        "subtype": "compact_boundary",
        "compact_metadata": {"preserved_messages": {"uuids": ["a", 7]}},
    }

    assert translator.value(boundary) == []
    assert translator.value(said) == []
    assert translator.value({**said, "uuid": "b"}) == [TextDelta("from before"), TextBlockEnded()]
    assert translator.value({**boundary, "compact_metadata": None}) == []
