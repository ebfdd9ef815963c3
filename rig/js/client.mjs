// One device of a person at Element: the SDK with its crypto, and what a person does with it.
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import * as attachment from "./attachment.mjs";
import {
    AllDevicesIsolationMode,
    ClientEvent,
    EventType,
    MatrixEventEvent,
    OnlySignedDevicesIsolationMode,
    RoomEvent,
    SyncState,
    createClient,
    decodeRecoveryKey,
} from "./sdk.mjs";
import { opened, seen, shown } from "./seen.mjs";
import * as store from "./store.mjs";
import * as verification from "./verification.mjs";

const LIVELY = new Set([EventType.Receipt, EventType.Typing]);
const AS_MANY_EVENTS = 100; // of each room, in one answer to /sync
const LOOK_AGAIN = 20; // milliseconds: not all that is waited for comes with an event
const ENCRYPTION = { type: EventType.RoomEncryption, state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
const BYTES = "application/octet-stream";
const WHOLE = [undefined, undefined, undefined]; // width, height, method: no smaller picture of it

export class Client {
    #options;
    #tell;
    #client;
    #crypto;
    #recoveryKey = null;
    #sending = new Map();
    #told = Promise.resolve();

    /** `tell` takes what happens, as JSON; `failed` an error that nobody waits for. */
    constructor(options, tell, failed) {
        this.#options = options;
        this.#tell = tell;
        this.failed = failed;
    }

    // --- its life

    /** Read the keys of an earlier life, log in, and return when the first sync is done and others can find our keys. */
    async start() {
        const { homeserver, userId, accessToken, deviceId, file, strict } = this.#options;
        await store.load(file);
        this.#client = createClient({
            baseUrl: homeserver,
            userId,
            accessToken,
            deviceId,
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) =>
                    this.#recoveryKey && [Object.keys(keys)[0], this.#recoveryKey],
                cacheSecretStorageKey: (_id, _info, key) => (this.#recoveryKey = key),
            },
        });
        await this.#client.initRustCrypto();
        this.#crypto = this.#client.getCrypto();
        // Strict: keys only for devices that their owner has signed, and no words from others.
        const isolation = strict ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false);
        this.#crypto.setDeviceIsolationMode(isolation);
        this.#client.on(ClientEvent.Event, (event) => this.#take(event));
        this.#client.on(MatrixEventEvent.Decrypted, (event) => this.#report(event));
        this.#client.on(RoomEvent.MyMembership, ({ roomId: room }, membership) =>
            this.#tell({ member: { room, membership } }),
        );
        verification.accept(this.#client, this.failed);
        const ready = this.#until(() => this.#client.getSyncState() === SyncState.Syncing);
        await this.#client.startClient({
            initialSyncLimit: AS_MANY_EVENTS,
            lazyLoadMembers: true,
            threadSupport: true,
        });
        await ready;
        await this.#until(async () => {
            const { device_keys: known } = await this.#client.downloadKeysForUsers([userId]);
            return deviceId in (known[userId] ?? {});
        });
        return { engine: this.#crypto.getVersion(), ...(await this.#crypto.getOwnDeviceKeys()) };
    }

    /** Stop, and keep the keys for the next life. */
    async stop() {
        this.#client.stopClient();
        await store.save(this.#options.file);
    }

    // --- who it is

    /** Make the person's cross-signing keys, secret storage and key backup; the recovery key. */
    async createIdentity({ password }) {
        const user = { type: "m.id.user", user: this.#client.getUserId() };
        const key = await this.#crypto.createRecoveryKeyFromPassphrase();
        await this.#crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: (upload) => upload({ type: "m.login.password", identifier: user, password }),
        });
        await this.#crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => key,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        return { recoveryKey: key.encodedPrivateKey };
    }

    /** Sign this device with the person's keys, and take over the keys of old messages; how many. */
    async recover({ recoveryKey }) {
        this.#recoveryKey = decodeRecoveryKey(recoveryKey);
        await this.#until(() => this.#crypto.userHasCrossSigningKeys(this.#client.getUserId(), true));
        await this.#crypto.bootstrapCrossSigning({});
        await this.#crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await this.#crypto.checkKeyBackupAndEnable();
        const { imported } = await this.#crypto.restoreKeyBackup();
        return { imported };
    }

    /** Until the key backup holds so many keys. The SDK takes up to ten seconds for it, by chance. */
    async untilBackedUp({ keys }) {
        // Not `getKeyBackupInfo`, which remembers what it was told first.
        const now = () => this.#client.http.authedRequest("GET", "/room_keys/version");
        await this.#until(async () => (await now()).count >= keys);
    }

    /** Compare emoji with another own device, and return when that one has signed this one. */
    async verify({ device }) {
        await this.#crypto.getUserDeviceInfo([this.#client.getUserId()], true);
        await verification.verify(this.#client, device);
        await this.#until(() => this.#isSigned());
    }

    /** The devices of a user as the homeserver has them now, and whether their owner has signed them. */
    async devices({ user }) {
        const found = (await this.#crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
        const devices = {};
        for (const id of found.keys()) {
            const status = await this.#crypto.getDeviceVerificationStatus(user, id);
            devices[id] = Boolean(status?.signedByOwner);
        }
        return { devices };
    }

    async untilDevices({ user, devices: wanted }) {
        await this.#until(async () => isDeepStrictEqual((await this.devices({ user })).devices, wanted));
    }

    /** What is known of a user's identity. */
    async identity({ user }) {
        const exists = await this.#crypto.userHasCrossSigningKeys(user, true);
        const status = await this.#crypto.getUserVerificationStatus(user);
        return { exists, verified: status.isCrossSigningVerified(), changed: status.needsUserApproval };
    }

    // --- what it does

    async createRoom({ room, encrypted }) {
        const state = [...(room.initial_state ?? []), ...(encrypted ? [ENCRYPTION] : [])];
        const made = await this.#client.createRoom({ ...room, initial_state: state });
        await this.#known(made.room_id);
        await this.#until(async () => encrypted === (await this.#crypto.isEncryptionEnabledInRoom(made.room_id)));
        return { room: made.room_id };
    }

    async invite({ room, user }) {
        await this.#client.invite(room, user);
    }

    async join({ room }) {
        const { roomId } = await this.#client.joinRoom(room);
        await this.#known(roomId);
        return { room: roomId };
    }

    async leave({ room }) {
        await this.#client.leave(room);
    }

    /** Send an event, encrypted where the room is; its id. The same transaction again is the same event. */
    async send({ room, type, content, txn }) {
        if (!txn) return this.#send(room, type, content);
        const underWay = this.#sending.get(txn) ?? this.#send(room, type, content, txn);
        this.#sending.set(txn, underWay);
        try {
            return await underWay;
        } finally {
            this.#sending.delete(txn);
        }
    }

    async redact({ room, event, reason }) {
        const sent = await this.#client.redactEvent(room, event, undefined, { reason });
        return { event: sent.event_id };
    }

    /** Upload a file, encrypted where the room is, and send its message; the event's id. */
    async sendFile({ room, content, data }) {
        const bytes = Buffer.from(data, "base64");
        await this.#known(room);
        if (!(await this.#crypto.isEncryptionEnabledInRoom(room))) {
            const { content_uri: url } = await this.#client.uploadContent(bytes, { type: content.info?.mimetype });
            return this.send({ room, type: EventType.RoomMessage, content: { ...content, url } });
        }
        const sealed = await attachment.encrypt(bytes);
        const { content_uri: url } = await this.#client.uploadContent(sealed.data, { type: BYTES });
        return this.send({ room, type: EventType.RoomMessage, content: { ...content, file: { ...sealed.file, url } } });
    }

    /** The bytes of the file that a message speaks of. */
    async fetchFile({ room, event }) {
        const content = this.#message(room, event).getOriginalContent();
        const url = this.#client.mxcUrlToHttp(content.file?.url ?? content.url, ...WHOLE, false, true, true);
        const answer = await fetch(url, { headers: { Authorization: `Bearer ${this.#client.getAccessToken()}` } });
        if (!answer.ok) throw new Error(`the file cannot be had: HTTP ${answer.status}`);
        const bytes = Buffer.from(await answer.arrayBuffer());
        const plain = content.file ? await attachment.decrypt(bytes, content.file) : bytes;
        return { data: plain.toString("base64") };
    }

    /** A message as the timeline shows it. */
    async shown({ room, event }) {
        return shown(this.#message(room, event));
    }

    /** Until a message stands in the thread that another one began, and not in the room's own timeline. */
    async untilInThread({ room, root, event }) {
        const known = this.#client.getRoom(room);
        await this.#until(() => known.getThread(root)?.findEventById(event));
        const beside = known.getUnfilteredTimelineSet().findEventById(event);
        if (beside) throw new Error(`${event} stands in the room, too`);
    }

    /** Encrypt what comes next with a new key. */
    async rotate({ room }) {
        await this.#crypto.forceDiscardSession(room);
    }

    async #send(room, type, content, txn) {
        await this.#known(room); // to a room that it does not know the SDK would send in clear
        const known = this.#client.getRoom(room);
        const failed = txn && known.getEventForTxnId(txn);
        if (failed) this.#client.retryImmediately(); // it may be waiting for a homeserver that is back
        const { event_id: event } = await (failed
            ? this.#client.resendEvent(failed, known)
            : this.#client.sendEvent(room, null, type, content, txn));
        return { event };
    }

    // --- what it sees

    /** Events as the homeserver has them, opened where that is possible. */
    async inClear({ events }) {
        const map = this.#client.getEventMapper({ preventReEmit: true, decrypt: false });
        const open = async (event) => {
            const mapped = map(event);
            await this.#client.decryptEventIfNeeded(mapped);
            return opened(mapped);
        };
        return { events: await Promise.all(events.map(open)) };
    }

    #take(event) {
        const [room, type] = [event.getRoomId(), event.getType()];
        if (room && event.getId()) this.#report(event);
        else if (room && LIVELY.has(type)) this.#tell({ lively: { room_id: room, type, content: event.getContent() } });
    }

    /** Tell of an event, and again when it can be read. One after the other, so that their order stays. */
    #report(event) {
        this.#told = this.#told
            .then(() => this.#client.decryptEventIfNeeded(event))
            .then(async () => this.#tell({ seen: await seen(this.#client, event) }))
            .catch(this.failed);
    }

    #message(room, event) {
        const found = this.#client.getRoom(room)?.findEventById(event);
        if (!found) throw new Error(`${event} is not in the timeline of ${room}`);
        return found;
    }

    async #known(room) {
        await this.#until(() => this.#client.getRoom(room)?.getMyMembership() === "join");
    }

    async #isSigned() {
        const own = [this.#client.getUserId(), this.#client.getDeviceId()];
        await this.#crypto.getUserDeviceInfo([own[0]], true);
        return (await this.#crypto.getDeviceVerificationStatus(...own))?.signedByOwner;
    }

    /** Until `condition`, looked at again and again. Whoever asked has a limit for how long that may take. */
    async #until(condition) {
        while (!(await condition())) await setTimeout(LOOK_AGAIN);
    }
}
