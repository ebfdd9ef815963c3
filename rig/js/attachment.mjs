// Encrypted files, as the specification has them ("Sending encrypted attachments"). Element brings this code itself, so
// the SDK has none.
import { createHash, randomBytes, webcrypto } from "node:crypto";

const AES = "AES-CTR";
const COUNTER_BITS = 64;

/** The bytes to upload, and what the `file` of the event says about them apart from `url`. */
export async function encrypt(plain) {
    const counter = Buffer.concat([randomBytes(8), Buffer.alloc(8)]);
    const key = await webcrypto.subtle.generateKey({ name: AES, length: 256 }, true, ["encrypt", "decrypt"]);
    const data = Buffer.from(await webcrypto.subtle.encrypt({ name: AES, counter, length: COUNTER_BITS }, key, plain));
    const jwk = await webcrypto.subtle.exportKey("jwk", key);
    return { data, file: { v: "v2", key: jwk, iv: unpadded(counter), hashes: { sha256: sha256(data) } } };
}

/** The bytes of a file, out of what was downloaded. Throws when that is not what the event speaks of. */
export async function decrypt(data, file) {
    if (sha256(data) !== file.hashes.sha256) throw new Error("the file is not the one that its event speaks of");
    const counter = Buffer.from(file.iv, "base64");
    const key = await webcrypto.subtle.importKey("jwk", file.key, { name: AES }, false, ["decrypt"]);
    return Buffer.from(await webcrypto.subtle.decrypt({ name: AES, counter, length: COUNTER_BITS }, key, data));
}

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
const sha256 = (bytes) => unpadded(createHash("sha256").update(bytes).digest());
