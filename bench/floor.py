"""The floor of the benchmark: the least that could do the job. It keeps nothing and survives nothing.

With `--stream` it shows the first words, and no more before the end.
"""

import argparse
import asyncio
import json
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from pathlib import Path

from aiohttp import ClientSession

from rig.claude import cli_env
from rig.conversation import Event

FLAGS = "-p --input-format stream-json --output-format stream-json --verbose --strict-mcp-config --setting-sources="


async def start(given: argparse.Namespace) -> Process:
    pieces = ["--include-partial-messages"] if given.stream else []
    argv, env = [given.cli, *FLAGS.split(), *pieces], cli_env(Path(given.folder), given.model)
    return await create_subprocess_exec(*argv, cwd=given.folder, env=env, stdin=PIPE, stdout=PIPE, limit=2**24)


async def serve(given: argparse.Namespace, http: ClientSession, room: str, events: asyncio.Queue[Event]) -> None:
    warm = None if given.process_per_message else await start(given)
    while event := await events.get():
        process = warm or await start(given)
        assert process.stdin
        assert process.stdout
        message = {"role": "user", "content": event["content"]["body"]}
        process.stdin.write(json.dumps({"type": "user", "message": message}).encode() + b"\n")
        path, shown = f"rooms/{room}/send/m.room.message/{event['event_id']}", False
        while (line := json.loads(await process.stdout.readline()))["type"] != "result":
            words = line.get("event", {}).get("delta", {}).get("text", "")
            if words and not shown:
                shown = True
                await http.put(f"{path}-first", json={"msgtype": "m.text", "body": words})
        await http.put(path, json={"msgtype": "m.text", "body": line["result"]})
        if not warm:
            process.kill()


async def main(given: argparse.Namespace) -> None:
    headers, query = {"Authorization": f"Bearer {given.token}"}, {"timeout": "0"}
    api, queues = f"{given.homeserver}/_matrix/client/v3/", {room: asyncio.Queue[Event]() for room in given.rooms}
    async with ClientSession(api, headers=headers) as http, asyncio.TaskGroup() as tasks:
        for room, events in queues.items():
            tasks.create_task(serve(given, http, room, events))
        while batch := await (await http.get("sync", params=query)).json():
            for room in queues if "since" in query else ():
                for event in batch.get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {}).get("events", ()):
                    if event["type"] == "m.room.message" and event["sender"] != given.user:
                        queues[room].put_nowait(event)
            if "since" not in query:
                print("ready", flush=True)
            query = {"timeout": "30000", "since": batch["next_batch"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--process-per-message", action="store_true")
    parser.add_argument("--stream", action="store_true")
    for name in ("homeserver", "user", "token", "model", "cli", "folder"):
        parser.add_argument(name)
    parser.add_argument("rooms", nargs="+")
    asyncio.run(main(parser.parse_args()))
