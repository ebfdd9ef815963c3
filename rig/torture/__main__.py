"""The command line of the torture rig."""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rig.torture import report, runner
from rig.torture.ends import ENDS, WHOLE_ENDS, End
from rig.torture.plan import Plan

EXAMPLES = """\
examples:
  python -m rig.torture                        every end in every isolation, then more, for 60 seconds
  python -m rig.torture --only "kill -9: shim" only ends whose name begins so
  python -m rig.torture --only "real CLI"      with the whole daemon, each once
  python -m rig.torture --full --lanes 2       the whole programme; writes bench/results/torture.json
  python -m rig.torture --seed 7               the same choices again (moments still depend on the machine)

It exits with 1 when something survived, stayed a zombie, came late or went on wrongly.
"""
SECONDS = 60.0


def main() -> None:
    """Run what was asked for, and exit."""
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="aiagentchat-torture-"))
    folder.chmod(0o711)  # the users of rooms must come through
    try:
        violations = asyncio.run(_run(folder, asked))
    except asyncio.CancelledError:
        sys.exit(f"ended by a signal; what there is, is in {folder}")
    if violations:
        sys.exit(f"{violations} violations; the evidence is in {folder}")
    shutil.rmtree(folder)


async def _run(folder: Path, asked: argparse.Namespace) -> int:
    begun = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):  # what was started is ended
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    chance = random.Random(asked.seed)  # noqa: S311 - to be repeated, not to be secret
    ways = await runner.possible_ways(folder)
    seconds = None if asked.full else asked.seconds
    alone = Plan(ends=chosen(ENDS, asked.only), ways=ways, chance=chance, seconds=seconds)
    with_cli = chosen(WHOLE_ENDS, asked.only) if asked.full or asked.only else []
    whole = Plan(ends=with_cli, ways=[runner.best(ways)], chance=chance, seconds=None if asked.full else 0)
    await runner.run(alone, folder, lanes=asked.lanes)
    if whole.ends:
        await runner.run_whole(whole, folder)
    taken = time.monotonic() - begun
    print(report.table([alone, whole], seconds=taken))
    if asked.full and not asked.only:
        report.write(report.results(alone, whole, seconds=taken, seed=asked.seed, lanes=asked.lanes))
    return len(alone.violations) + len(whole.violations)


def chosen(ends: Sequence[End], only: Sequence[str]) -> list[End]:
    """Those whose name begins with one of these; all when there is none."""
    return [end for end in ends if not only or end.name.startswith(tuple(only))]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rig.torture",
        description="Grow trees of processes that do not want to end, end them, and count what is left.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="ends whose name begins so")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long (60)")
    parser.add_argument("--full", action="store_true", help="every planned trial, however long it takes")
    parser.add_argument("--seed", type=int, default=1, help="of the choices (1)")
    parser.add_argument("--lanes", type=int, default=1, help="so many side by side (1)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
