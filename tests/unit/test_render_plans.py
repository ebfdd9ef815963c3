"""A plan reads as a task list."""

from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep
from aiagentchat.render.markdown import to_html
from aiagentchat.render.plans import MOST_STEPS, plan_line, plan_list

TEA = PlanChanged(
    (
        PlanStep("Boil water", PlanState.DONE),
        PlanStep("Steep\nthe *tea*", PlanState.DOING),
        PlanStep("Drink", PlanState.TODO),
    )
)


def test_a_plan_is_a_list_of_boxes_below_how_far_it_is() -> None:
    text = plan_list(TEA)

    assert text == "**Plan: 1 of 3 done**\n- [x] Boil water\n- [ ] Steep the *tea* ⏳\n- [ ] Drink"
    assert "<li>☑ Boil water</li>" in to_html(text)


def test_where_only_what_changed_is_said_it_is_one_line() -> None:
    assert plan_line(TEA) == "**Plan: 1 of 3 done** · now: Steep the *tea*"
    assert plan_line(PlanChanged(TEA.steps[:1])) == "**Plan: 1 of 1 done**"


def test_a_long_plan_is_cut_and_an_empty_one_says_nothing() -> None:
    long = PlanChanged((PlanStep("x" * 500, PlanState.TODO),) * (MOST_STEPS + 2))

    lines = plan_list(long).split("\n")
    assert (len(lines), lines[-1]) == (MOST_STEPS + 2, "- … and 2 more steps")
    assert max(map(len, lines)) < 110
    assert plan_list(PlanChanged(())) == ""
    assert plan_list(PlanChanged((PlanStep(" ", PlanState.TODO),))).endswith("- [ ] ?")
