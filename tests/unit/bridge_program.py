"""`cchat mcp` with a gateway that is given: SOCKET NAME, and the token in GATEWAY_TOKEN."""

import os
import sys
from pathlib import Path

from aiagentchat.cli.exchange.mcp import Gateway, run

if __name__ == "__main__":
    where, called = sys.argv[1:]
    raise SystemExit(run(Gateway(socket=Path(where), token=os.environ["GATEWAY_TOKEN"]), name=called))
