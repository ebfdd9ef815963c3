-- What makes the account the same one to everybody, whatever device it is on. Sealed: of no use without the store key.

CREATE TABLE identities (
    user_id TEXT PRIMARY KEY,
    seeds TEXT,         -- of the master, the self-signing and the user-signing key, 32 bytes each; sealed as one
    backup_key TEXT,    -- opens the room keys that the homeserver keeps; sealed
    backup_read TEXT    -- the state of that backup in which it was read whole
) STRICT;
