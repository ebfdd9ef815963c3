"""The command line of the fault rig."""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rig.faults import report
from rig.faults.catalog import chosen
from rig.faults.kinds import Fault
from rig.faults.lane import Setting
from rig.faults.plan import Plan
from rig.faults.recovery import TRIES, measure
from rig.faults.runner import Findings, run, say

EXAMPLES = """\
examples:
  python -m rig.faults                            everything, for 60 seconds
  python -m rig.faults --only kill --seconds 120  only kill -9
  python -m rig.faults --only network --only disk
  python -m rig.faults --only recovery            only how fast it is back after kill -9
  python -m rig.faults --full --lanes 2           the whole programme; writes bench/results and docs/reference
  python -m rig.faults --rooms encrypted          the rooms are encrypted, and people type at Element's engine
  python -m rig.faults --seed 7                   the same choices again (moments still depend on the machine)

It exits with 1 when a promise was not kept, and says where the evidence is.
"""
SECONDS = 60.0
RECOVERY = "recovery"
SHARE_IN_ENCRYPTED_ROOMS = 4
"""They are there for what encryption adds; everything else is tried in plain ones."""


def main() -> None:
    """Run what was asked for, and exit."""
    asked = _arguments()
    try:
        faults = _possible(asked)
    except ValueError as error:
        sys.exit(f"faults: {error}")
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="aiagentchat-faults-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)  # the daemon's user must come through
    plan = Plan(
        faults=faults,
        chance=random.Random(asked.seed),  # noqa: S311 - to be repeated, not to be secret
        seconds=None if asked.full else asked.seconds,
        share=SHARE_IN_ENCRYPTED_ROOMS if asked.rooms == "encrypted" else 1,
    )
    try:
        asyncio.run(_run(plan, folder, asked))
    except asyncio.CancelledError:
        sys.exit(f"ended by a signal; what there is, is in {folder}")
    if plan.violations:
        sys.exit(f"{len(plan.violations)} violations; {report.evidence_of(folder)}")
    if not asked.keep:
        shutil.rmtree(folder)


async def _run(plan: Plan, folder: Path, asked: argparse.Namespace) -> None:
    begun = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):  # what was started is ended
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    findings, recovery = Findings(), None
    setting = Setting(seed=asked.seed, package=asked.package, encrypted=asked.rooms == "encrypted")
    if plan.faults:
        findings = await run(plan, folder, setting, lanes=asked.lanes)
    if (asked.full and not asked.only) or RECOVERY in asked.only:
        say("how fast it is back after kill -9")
        recovery, found = await measure(folder / RECOVERY, setting, tries=TRIES // plan.share)
        plan.violations += found
    seconds = time.monotonic() - begun
    print(report.table(plan, findings, seconds=seconds))
    if recovery:
        print("\n".join(f"{name:24} {value}" for name, value in recovery.as_dict().items()))
    if asked.full and not asked.only:
        results = report.results(plan, findings, recovery, seconds=seconds, seed=asked.seed, lanes=asked.lanes)
        report.write(plan, results, encrypted=setting.encrypted)


def _possible(asked: argparse.Namespace) -> list[Fault]:
    """What was asked for and can be done here; the rest is left out, aloud."""
    names = [name for name in asked.only if name != RECOVERY]
    faults = chosen(names) if names or not asked.only else []
    for fault in faults:
        if hindrance := fault.hindrance():
            say(f"left out: {fault.name}: {hindrance}")
    return [fault for fault in faults if not fault.hindrance() and (asked.full or not fault.only_full)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rig.faults",
        description="Kill, cut off and starve the daemon, and read in the rooms what came of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="faults whose name begins so")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long (60)")
    parser.add_argument("--full", action="store_true", help="every planned try, however long it takes")
    parser.add_argument("--rooms", choices=["plain", "encrypted"], default="plain", help="what the rooms are (plain)")
    parser.add_argument("--seed", type=int, default=1, help="of the choices (1)")
    parser.add_argument("--lanes", type=int, default=1, help="so many daemons side by side (1)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this new folder, and keep it")
    parser.add_argument("--package", type=Path, metavar="FOLDER", help="take the daemon's code from there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
