"""Tool lines fold together at the end of an answer."""

from aiagentchat.render.folding import folded_html, is_foldable, plain, step, unmarked
from aiagentchat.render.message import message

ANSWER = f"Let me look.\n\n{step('▸ Read: `a`')}  \n{step('▸ Read: `b`')}\n\nDone.\n\n{step('▸ Bash')}\n\n— 1.0 s"


def test_tool_lines_stand_in_one_fold_below_everything_else() -> None:
    html = folded_html(ANSWER)

    words, fold = html.split("\n<details>")
    assert words == "<p>Let me look.</p>\n<p>Done.</p>\n<p>— 1.0 s</p>"
    assert fold == (
        "<summary>3 steps</summary><p>▸ Read: <code>a</code><br>▸ Read: <code>b</code><br>▸ Bash</p></details>"
    )


def test_the_plain_text_reads_in_the_order_in_which_things_happened() -> None:
    content = message(ANSWER, notice=False, fold=True)

    assert content["body"] == plain(ANSWER)
    assert content["body"].startswith("Let me look.\n\n▸ Read: `a`  \n▸ Read: `b`\n\nDone.")
    assert content["formatted_body"] == folded_html(ANSWER)


def test_while_it_grows_nothing_is_folded() -> None:
    html = message(ANSWER, notice=False)["formatted_body"]

    assert "<details>" not in html
    assert html.index("▸ Read") < html.index("Done.")


def test_one_line_is_not_worth_a_fold() -> None:
    text = f"So.\n\n{step('▸ Read')}"

    assert not is_foldable(text)
    assert "<details>" not in str(message(text, notice=False, fold=True))


def test_an_answer_of_nothing_but_tools_is_a_fold_alone() -> None:
    assert folded_html(f"{step('▸ a')}  \n{step('▸ b')}").startswith("<details>")


def test_nothing_that_an_agent_says_can_be_taken_for_a_tool_line() -> None:
    assert not is_foldable(unmarked(ANSWER))
    assert unmarked(step("x")) == "\ufffdx"
