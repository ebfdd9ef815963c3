"""The lines that are written to the CLI: one JSON object each, whatever a person typed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.agents.claude_code import wire
from aiagentchat.core.ports.agent import Prompt

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
"""Lone surrogates and control characters too: json.loads of a wire line makes them."""


def parsed(line: bytes) -> Any:
    assert line.isascii()
    assert b"\n" not in line
    assert b"\r" not in line
    return json.loads(line)


@given(ANY_TEXT)
def test_a_prompt_is_one_line_that_says_what_was_typed(text: str) -> None:
    assert parsed(wire.user(Prompt(uuid="u", text=text))) == {
        "type": "user",
        "message": {"role": "user", "content": text},
        "uuid": "u",
        "client_composed": True,
    }


def test_a_command_of_the_agents_own_goes_alone_without_what_was_typed() -> None:
    assert parsed(wire.user(Prompt(uuid="u", text="/agent compact @/etc/passwd", own="compact"))) == {
        "type": "user",
        "message": {"role": "user", "content": "/compact"},
        "uuid": "u",
    }


@given(ANY_TEXT)
def test_the_instructions_are_one_line(text: str) -> None:
    assert parsed(wire.initialize("r1", text)) == {
        "type": "control_request",
        "request_id": "r1",
        "request": {"subtype": "initialize", "appendSystemPrompt": text},
    }


def test_what_a_conversation_costs_is_asked_without_reading_the_disk() -> None:
    assert parsed(wire.usage("r1")) == {
        "type": "control_request",
        "request_id": "r1",
        "request": {"subtype": "get_usage", "skip_behaviors": True},
    }


@given(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_a_yes_sends_the_input_back_and_nothing_that_widens_a_rule(reason: str, used: dict[str, str]) -> None:
    line = parsed(wire.permission("r1", allow=True, reason=reason, tool_input=used))

    assert line["response"] == {
        "subtype": "success",
        "request_id": "r1",
        "response": {"behavior": "allow", "updatedInput": used},
    }


def test_a_yes_to_a_plan_may_let_edits_pass_and_says_so_in_our_own_words() -> None:
    line = parsed(wire.permission("r1", allow=True, reason="", tool_input={}, accept_edits=True))
    no = parsed(wire.permission("r1", allow=False, reason="no", tool_input={}, accept_edits=True))

    assert line["response"]["response"] == {
        "behavior": "allow",
        "updatedInput": {},
        "updatedPermissions": [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}],
    }
    assert no["response"]["response"] == {"behavior": "deny", "message": "no"}


def test_a_mode_is_set_for_what_follows() -> None:
    assert parsed(wire.set_permission_mode("r1", "plan"))["request"] == {
        "subtype": "set_permission_mode",
        "mode": "plan",
    }


@given(ANY_TEXT)
def test_a_no_carries_its_reason(reason: str) -> None:
    line = parsed(wire.permission("r1", allow=False, reason=reason, tool_input={"command": "x"}))

    assert line["response"]["response"] == {"behavior": "deny", "message": reason}


def test_an_interrupt_takes_what_is_queued_with_it() -> None:
    assert parsed(wire.interrupt("r1"))["request"] == {"subtype": "interrupt", "cancel_queued": True}


def test_the_session_is_ended_in_order() -> None:
    assert parsed(wire.end_session("r1"))["request"] == {"subtype": "end_session"}


def test_what_we_do_not_know_is_declined() -> None:
    assert parsed(wire.unsupported("r1"))["response"]["subtype"] == "error"
