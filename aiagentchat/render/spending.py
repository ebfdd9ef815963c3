"""What a room reads about money: what was spent, what may be, and what is used up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiagentchat.core.spending import Budget, Span, Spent, UsedUp, ends_at, total
from aiagentchat.render.fences import code_span
from aiagentchat.render.words import moment, money, quoted, tokens

NOT_BILLED = (
    "I work with a subscription, so nobody is billed for this: it is what the API would have cost, and what budgets "
    "count."
)
RELOADED = "in config.yaml, and `aiagentchat reload` puts it into force"
COST_FORMS = "`/cost` alone says what this room has used; `/cost all`, for admins, what all their rooms have"

_SPAN = {Span.DAY: "today", Span.MONTH: "this month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCost:
    """What one room has used."""

    name: str
    today: Spent
    month: Spent


def cost_not_understood(typed: str) -> str:
    """Neither nothing nor `all`."""
    return f"{quoted(typed)} says nothing to me here. {COST_FORMS}."


def cost_text(
    session: str,
    spent: Mapping[str, Spent],
    budget: Budget,
    now: int,
    *,
    is_billed: bool,
) -> str:
    """The answer to /cost in that conversation; `spent` by ``session``, ``today`` and ``this month``."""
    names = {**dict.fromkeys(spent, ""), "session": f" {session}" if session else ""}
    rows = [
        f"| {what}{names[what]} | {used.turns} | {_tokens(used)} | {money(used.cost_micro_usd)} |"
        for what, used in spent.items()
    ]
    lines = [f"| | turns | tokens | {_cost_head(is_billed=is_billed)} |", "|---|---|---|---|", *rows, ""]
    lines += _budget_lines(budget, {span: spent[_SPAN[span]] for span in Span}, now, "Budget of this room")
    lines.append(_remarks(is_billed=is_billed))
    return "\n".join(lines)


def all_costs_text(rooms: Sequence[RoomCost], budget: Budget | None, now: int, *, is_billed: bool) -> str:
    """The answer to /cost all; `budget` is that of all rooms together, None where whoever asks sees only some."""
    today, month = (total(getattr(room, what) for room in rooms) for what in ("today", "month"))
    rows = [
        f"| {quoted(room.name)} | {money(room.today.cost_micro_usd)} | {room.month.turns} | {_tokens(room.month)} "
        f"| {money(room.month.cost_micro_usd)} |"
        for room in rooms
    ]
    rows.append(
        f"| **together** | {money(today.cost_micro_usd)} | {month.turns} | {_tokens(month)} "
        f"| {money(month.cost_micro_usd)} |"
    )
    lines = ["| room | today | turns this month | tokens | this month |", "|---|---|---|---|---|", *rows, ""]
    if budget is not None:
        lines += _budget_lines(budget, {Span.DAY: today, Span.MONTH: month}, now, "Budget of all rooms together")
    lines.append(_remarks(is_billed=is_billed))
    return "\n".join(lines)


def not_begun(gone: UsedUp, now: int) -> str:
    """A turn was not begun."""
    whose, key = _whose(gone)
    return (
        f"💰 Not run: the budget of {whose} for {_SPAN[gone.span]} is used up ({money(gone.spent)} of "
        f"{money(gone.most)}). It is new {moment(gone.resets_at, now)}. The operator can raise {key} {RELOADED}; then "
        "`/retry` runs this."
    )


def nearly_gone(spent: int, most: int, now: int) -> str:
    """A quiet line, once a day: much of the day's budget is gone, or all of it."""
    gone = "is used up" if spent >= most else f"is used to {spent * 100 // most} %"
    return (
        f"💰 This room's budget for today {gone} ({money(spent)} of {money(most)}). It is new "
        f"{moment(ends_at(Span.DAY, now), now)}; beyond it no turn begins."
    )


def turn_too_dear(spent: int, most: int) -> str:
    """The turn was ended because it had cost more than it may."""
    return (
        f"💰 Stopped: this turn has cost {money(spent)}, and may cost {money(most)}. What it had done until then is "
        "done; the conversation goes on with your next message. If that was too little, the operator can raise "
        f"`budget.turn` of this room {RELOADED}."
    )


def _whose(gone: UsedUp) -> tuple[str, str]:
    if gone.everywhere:
        return "all my rooms together", code_span(f"budget_{gone.span}")
    return "this room", f"{code_span(f'budget.{gone.span}')} of this room"


def _budget_lines(budget: Budget, spent: Mapping[Span, Spent], now: int, head: str) -> list[str]:
    said = [
        f"{money(most)} {_SPAN[span]}, {min(spent[span].cost_micro_usd * 100 // most, 999)} % used, new "
        f"{moment(ends_at(span, now), now)}"
        for span in Span
        if (most := budget.of(span))
    ]
    said += [f"{money(budget.turn)} a turn"] if budget.turn else []
    return [f"{head}: {'; '.join(said)}.", ""] if said else []


def _remarks(*, is_billed: bool) -> str:
    zone = "Days and months are those of UTC; what runs now is not in it."
    return zone if is_billed else f"{zone} {NOT_BILLED}"


def _cost_head(*, is_billed: bool) -> str:
    return "cost" if is_billed else "API price, not billed"


def _tokens(spent: Spent) -> str:
    return tokens(spent.input_tokens + spent.output_tokens).partition(" ")[0]
