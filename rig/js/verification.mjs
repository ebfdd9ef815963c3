// Two devices of a person compare emoji. The person is honest and quick: whatever is asked is accepted at once.
import { CryptoEvent, VerificationPhase, VerificationRequestEvent, VerifierEvent } from "./sdk.mjs";

const SAS = "m.sas.v1";

/** Verify this device and another one of the same person. Returns when the other one has agreed. */
export async function verify(client, device) {
    const request = await client.getCrypto().requestDeviceVerification(client.getUserId(), device);
    await until(request, VerificationPhase.Ready);
    await compare(await request.startVerification(SAS));
    await until(request, VerificationPhase.Done);
}

/** From now on, say yes to another own device that asks. */
export function accept(client, failed) {
    client.on(CryptoEvent.VerificationRequestReceived, (request) => {
        if (!request.isSelfVerification) return;
        answer(request).catch(failed);
    });
}

async function answer(request) {
    await request.accept();
    await until(request, VerificationPhase.Started);
    await compare(request.verifier);
}

async function compare(verifier) {
    const same = (sas) => void sas.confirm();
    const early = verifier.getShowSasCallbacks();
    early ? same(early) : verifier.once(VerifierEvent.ShowSas, same);
    await verifier.verify();
}

function until(request, phase) {
    return new Promise((resolve, reject) => {
        const look = () => {
            if (request.phase === VerificationPhase.Cancelled) {
                reject(new Error(`the verification was cancelled: ${request.cancellationCode}`));
            } else if (request.phase >= phase) {
                request.off(VerificationRequestEvent.Change, look);
                resolve();
            }
        };
        request.on(VerificationRequestEvent.Change, look);
        look();
    });
}
