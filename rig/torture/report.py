"""What is left of a run: a table for the terminal, results for machines."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiagentchat import __version__
from rig.setup import ROOT
from rig.torture import tree
from rig.torture.plan import Plan, Tally

RESULTS = ROOT / "bench" / "results" / "torture.json"
COLUMNS = ("trials", "survivors", "zombies", "late", "wrong", "p50_ms", "max_ms")


def as_dict(tally: Tally) -> dict[str, int]:
    """A row."""
    row = {
        "trials": tally.trials,
        "survivors": tally.survivors,
        "zombies": tally.zombies,
        "late": tally.late,
        "wrong": tally.wrong,
        "p50_ms": _ms(tally.seconds, 0.5),
        "max_ms": _ms(tally.seconds, 1),
    }
    return row | ({"next_turn_p50_ms": _ms(tally.again, 0.5)} if tally.again else {})


def table(plans: Sequence[Plan], *, seconds: float) -> str:
    """The table that ends every run."""
    rows = {name: as_dict(tally) for plan in plans for name, tally in plan.tallies.items() if tally.trials}
    width = max(map(len, rows), default=0)
    lines = [f"{'end':{width}}  " + "  ".join(f"{column:>9}" for column in COLUMNS)]
    lines += [f"{name:{width}}  " + "  ".join(f"{row[column]:9}" for column in COLUMNS) for name, row in rows.items()]
    violations = [each for plan in plans for each in plan.violations]
    trials = sum(row["trials"] for row in rows.values())
    sums = f"{trials} trials, {len(violations)} violations, {seconds:.0f} s; {busy()}"
    return "\n".join([*lines, "", sums, *violations])


def results(plan: Plan, whole: Plan, *, seconds: float, seed: int, lanes: int) -> dict[str, Any]:
    """For machines, and for the next run to be compared with."""
    return {
        "ends": _rows(plan.tallies),
        "isolation": _rows(plan.by_way),
        "real_cli": _rows(whole.tallies),
        "processes_in_a_tree": tree.PROCESSES,
        "violations": [*plan.violations, *whole.violations],
        "seconds": round(seconds),
        "seed": seed,
        "lanes": lanes,
        "load": busy(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": _versions(),
    }


def write(found: Mapping[str, Any], file: Path = RESULTS) -> None:
    """The results."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


def busy() -> str:
    """What else the machine had to do; how late an end is depends on it."""
    return f"load average {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores"


def _rows(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    return {name: as_dict(tally) for name, tally in tallies.items()}


def _versions() -> dict[str, str]:
    return {
        "aiagentchat": __version__,
        "Python": platform.python_version(),
        "bubblewrap": _said("bwrap", "--version"),
        "claude-agent-sdk": _pinned("claude-agent-sdk", "requirements-cli.txt"),
        "Synapse": _pinned("matrix-synapse", "requirements-synapse.txt"),
        "Linux": platform.release().partition("-")[0],
    }


def _pinned(package: str, file: str) -> str:
    found = re.search(rf"^{package}==([^\s\\]+)", ROOT.joinpath(file).read_text("utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def _said(*argv: str) -> str:
    try:
        said = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=10).stdout
    except OSError:
        return "none"
    return said.split()[-1] if said.split() else "unknown"


def _ms(values: Sequence[float], share: float) -> int:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000) if ordered else 0
