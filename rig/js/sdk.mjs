// What is used of matrix-js-sdk. The packages lie in a folder that rig/setup.py fills, not beside this file: they are
// imported by their paths.
import { pathToFileURL } from "node:url";

const packages = pathToFileURL(`${process.env.AIAGENTCHAT_NODE_MODULES}/`);
const load = (path) => import(new URL(path, packages));

// Before the SDK: its crypto looks for `indexedDB` as in a browser.
await load("fake-indexeddb/auto/index.mjs");

export const {
    ClientEvent,
    EventType,
    MatrixEventEvent,
    RelationType,
    RoomEvent,
    SyncState,
    createClient,
} = await load("matrix-js-sdk/lib/index.js");

export const {
    AllDevicesIsolationMode,
    CryptoEvent,
    EventShieldColour,
    EventShieldReason,
    OnlySignedDevicesIsolationMode,
    VerificationPhase,
    VerificationRequestEvent,
    VerifierEvent,
    decodeRecoveryKey,
} = await load("matrix-js-sdk/lib/crypto-api/index.js");
