-- What a life that ended hard may have left running, and the user that a room's runs are.

CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,          -- every process of the run carries it in its environment
    room_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,            -- what ran before the machine was started again is gone
    uid INTEGER,                      -- NULL: the daemon's own
    started_at INTEGER NOT NULL
) STRICT;

ALTER TABLE rooms ADD COLUMN uid INTEGER;  -- given once, and never to another room
CREATE UNIQUE INDEX rooms_uid ON rooms (uid) WHERE uid IS NOT NULL;
