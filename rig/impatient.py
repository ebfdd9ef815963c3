"""The daemon with less patience, for whoever cannot wait minutes: `python -m rig.impatient run --config config.yaml`.

A room is warned `WARNING` seconds before the end of its turn, and told of `SILENCE` seconds of silence. The registry
room hears of it every `PACE.heartbeat` seconds.
"""

import argparse
import asyncio
import os
from pathlib import Path

from aiagentchat.app.daemon import run_daemon
from aiagentchat.app.live import Live
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.instances import Pace
from aiagentchat.execute.deadlines import Patience
from aiagentchat.observability.log import set_up

WARNING = 2.0
SILENCE = 1.0
PACE = Pace(heartbeat=1.0, ttl=4.0, delay=3.0)


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(prog="python -m rig.impatient")
    parser.add_argument("run")
    parser.add_argument("--config", type=Path, required=True)
    os.umask(0o077)
    live = Live(load(parser.parse_args().config, os.environ), load_secrets(os.environ), dict(os.environ))
    set_up("json", "INFO")
    asyncio.run(run_daemon(live, patience=Patience(warning=WARNING, silence=SILENCE), pace=PACE))


if __name__ == "__main__":
    main()
