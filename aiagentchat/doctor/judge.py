"""What a raid has shown. Pure.

The raid's own word counts only where nobody outside can see; and an attack that is stopped proves something only if it
works where nothing stops it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.attacks import Attack, Proof
from aiagentchat.doctor.rows import Row, Verdict, fail, ok, unknown, warn


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the raid says about one attack."""

    did: bool
    saw: str = ""
    error: str = ""
    """Why it did not work, in the kernel's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One raid: its reports, and what was seen from outside."""

    isolation: Isolation
    reports: Mapping[str, Report]
    touched: frozenset[str] = frozenset()
    """The attacks whose aim has changed, or has heard of them."""
    secrets: frozenset[str] = frozenset()
    """What nobody can say who has not seen it."""


def has_worked(attack: Attack, sighting: Sighting) -> bool:
    """Whether the attack got what it wanted."""
    report = sighting.reports[attack.id]
    seen = any(secret in report.saw for secret in sighting.secrets)
    return seen or attack.id in sighting.touched or (attack.proof is Proof.WORD and report.did)


def judge(attack: Attack, inside: Sighting, bare: Sighting) -> Row:
    """The row of one attack: `inside` the sandbox, and without one (`bare`), which may be the same."""
    isolation = inside.isolation
    if has_worked(attack, inside):
        detail = f"Under isolation {isolation} a room can {attack.tries}. {attack.leak}"
        if isolation is Isolation.NONE or isolation in attack.weak:
            return warn(attack.id, f"{detail} This is known of {isolation}.", attack.fix)
        return fail(attack.id, detail, attack.fix)
    if not has_worked(attack, bare):
        why = bare.reports[attack.id].error or "nothing came of it"
        return unknown(attack.id, f"Proves nothing here: even without a sandbox this is not possible ({why}).")
    return ok(attack.id, f"Stopped: {inside.reports[attack.id].error or 'nothing came of it'}.")


def summary(rows: Iterable[Row]) -> str:
    """`84 attacks: 0 leaks`, and how many prove nothing here."""
    verdicts = [row.verdict for row in rows]
    leaks = sum(verdict in {Verdict.WARN, Verdict.FAIL} for verdict in verdicts)
    known, nothing = verdicts.count(Verdict.WARN), verdicts.count(Verdict.NOT_APPLICABLE)
    more = [f"{known} of them known of this isolation"] if known else []
    more += [f"{nothing} not possible on this machine anyway"] if nothing else []
    text = f"{len(verdicts)} attacks: {leaks} leak{'' if leaks == 1 else 's'}"
    return f"{text} ({', '.join(more)})" if more else text
