// What a person sees of an event, as plain JSON.
import { EventShieldColour, EventShieldReason, EventType, RelationType } from "./sdk.mjs";

/** The event in clear, whether it could be read, the shield beside it, and whether a telephone rings for it. */
export async function seen(client, event) {
    const failed = event.isDecryptionFailure();
    const shield = failed || !event.isEncrypted() ? null : await client.getCrypto().getEncryptionInfoForEvent(event);
    const push = event.getSender() === client.getUserId() ? {} : client.pushProcessor.actionsForEvent(event);
    return {
        event: opened(event),
        encrypted: event.isEncrypted(),
        failed,
        why: failed ? String(event.decryptionFailureReason ?? "") : "",
        shield: EventShieldColour[shield?.shieldColour ?? EventShieldColour.NONE].toLowerCase(),
        reason: shield ? (EventShieldReason[shield.shieldReason] ?? "") : "",
        rings: Boolean(push.notify),
        highlights: Boolean(push.tweaks?.highlight),
    };
}

/** The event in clear, or as it was sent where that cannot be had. */
export function opened(event) {
    return event.isDecryptionFailure() ? wire(event) : clear(event);
}

/** A message as the timeline shows it: with the newest of its edits, or taken back; where it stands, above what. */
export function shown(event) {
    const relation = event.getRelation();
    // The reply in a thread's message is for clients that know no threads, if it says so; Element quotes nothing then.
    const falls = relation?.rel_type === RelationType.Thread && relation.is_falling_back === true;
    return {
        content: event.getContent(),
        thread: event.threadRootId ?? "",
        answers: falls ? "" : (event.replyEventId ?? ""),
        edited: event.replacingEventId() ?? "",
        redacted: event.isRedacted(),
        failed: event.isDecryptionFailure(),
    };
}

/** The event as it was sent, without the edits that the SDK mixes in. */
function clear(event) {
    const content = { ...event.getOriginalContent() };
    const relation = event.getWireContent()["m.relates_to"]; // it stays outside what is encrypted
    if (relation && !("m.relates_to" in content) && !event.isRedacted()) content["m.relates_to"] = relation;
    return { ...wire(event), type: event.getType(), content };
}

function wire(event) {
    const type = event.isEncrypted() ? EventType.RoomMessageEncrypted : event.getType();
    return { ...event.event, room_id: event.getRoomId(), type, content: event.getWireContent() };
}
