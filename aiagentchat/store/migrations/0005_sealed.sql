-- Encrypted rooms: what cannot be read yet waits, what is encrypted stays so, and a device has one set of keys for ever.

ALTER TABLE inbox ADD COLUMN encrypted INTEGER NOT NULL DEFAULT 0;  -- 1: it came encrypted, so no server has written it
-- What is sealed is no work for routing until it was opened; `body` is the session whose key is missing, `raw` the event.
DROP INDEX inbox_unrouted;
CREATE INDEX inbox_unrouted ON inbox (room_id, position) WHERE routed_at IS NULL AND kind <> 'sealed';
CREATE INDEX inbox_sealed ON inbox (position) WHERE routed_at IS NULL AND kind = 'sealed';

-- What a room was told that it cannot be read.
CREATE TABLE seals_told (
    room_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    session_id TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, sender, session_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE rooms ADD COLUMN encrypted_at INTEGER;  -- never taken back, whatever a homeserver says later

-- The public half of what each of our devices signs with: those who know the device know it by that.
CREATE TABLE device_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    ed25519 TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
