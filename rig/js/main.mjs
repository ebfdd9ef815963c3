// Element's engine behind two pipes: `node main.mjs`, with AIAGENTCHAT_NODE_MODULES in its environment.
//
// In, a line each:   {"id": 1, "do": "send", "with": {…}}
// Out, a line each:  {"id": 1, "result": {…}} or {"id": 1, "error": "…"}
// Unasked:           {"seen": {…}}, {"lively": {…}}, {"member": {…}}
//
// The first line must be `start`. It ends after `stop`, and when its standard input does: nobody has to look after it.
import "./quiet.mjs";

import { createInterface } from "node:readline";

import { Client } from "./client.mjs";

const MAY = new Set([
    "createIdentity", "createRoom", "devices", "fetchFile", "identity", "inClear", "invite", "join", "leave", "recover",
    "redact", "rotate", "send", "sendFile", "shown", "start", "stop", "untilBackedUp", "untilDevices",
    "untilInThread", "verify",
]);

let client = null;

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const failed = (error) => process.stderr.write(`${error?.stack ?? error}\n`);

async function answer({ id, do: what, with: words }) {
    try {
        if (!MAY.has(what)) throw new Error(`there is no ${what}`);
        if (what === "start") client = new Client(words, tell, failed);
        tell({ id, result: (await client[what](words)) ?? {} });
    } catch (error) {
        failed(error);
        tell({ id, error: String(error?.message ?? error) });
    }
    if (what === "stop") process.stdout.write("", () => process.exit(0));
}

process.on("unhandledRejection", failed); // the SDK leaves some of its work to itself
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void answer(JSON.parse(line)));
lines.on("close", () => process.exit(0));
