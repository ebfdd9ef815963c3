-- Conversations have names, threads may have conversations of their own, and rooms a model that was set in them.

CREATE TABLE named_sessions (
    session_id  TEXT PRIMARY KEY,
    room_id     TEXT,                   -- NULL: nobody knows any more whose it is, so nobody can go back to it
    thread      TEXT,                   -- the first event of the thread that it was begun in; NULL: in none
    name        TEXT,
    named_by    TEXT,                   -- the command whose first words the name is; NULL: somebody has given it
    made_at     INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    begun_at    INTEGER,                -- NULL: the agent has not seen it
    turns       INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO named_sessions (session_id, room_id, name, made_at, used_at, begun_at, turns)
SELECT known.session_id, known.room_id, iif(known.room_id IS NULL, NULL, 'session-' || substr(known.session_id, 1, 8)),
       known.begun_at, coalesce(known.used_at, known.begun_at), known.begun_at, known.turns
FROM (
    SELECT session_id, begun_at,
           (SELECT room_id FROM commands WHERE commands.session_id = sessions.session_id LIMIT 1) AS room_id,
           (SELECT max(started_at) FROM commands WHERE commands.session_id = sessions.session_id) AS used_at,
           (SELECT count(started_at) FROM commands WHERE commands.session_id = sessions.session_id) AS turns
    FROM sessions) AS known;
DROP TABLE sessions;
ALTER TABLE named_sessions RENAME TO sessions;
CREATE UNIQUE INDEX sessions_names ON sessions (room_id, name) WHERE name IS NOT NULL;
CREATE INDEX sessions_of_room ON sessions (room_id, used_at) WHERE name IS NOT NULL;
CREATE INDEX sessions_named_by ON sessions (named_by) WHERE named_by IS NOT NULL;

-- Whoever starts a turn uses its conversation.
CREATE TRIGGER sessions_are_used AFTER UPDATE OF state ON commands
WHEN new.state = 'running' AND old.state = 'queued'
BEGIN UPDATE sessions SET turns = turns + 1, used_at = coalesce(new.started_at, used_at) WHERE session_id = new.session_id; END;

-- The conversation that a thread is in, where threads have their own.
CREATE TABLE threads (
    room_id     TEXT NOT NULL,
    thread      TEXT NOT NULL,          -- its first event
    session_id  TEXT NOT NULL,
    PRIMARY KEY (room_id, thread)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_of_session ON threads (session_id);

ALTER TABLE inbox ADD COLUMN thread TEXT;                  -- the first event of the thread that it was typed in
ALTER TABLE commands ADD COLUMN thread TEXT;
ALTER TABLE commands ADD COLUMN own TEXT NOT NULL DEFAULT '';  -- a command of the agent's own; '': what was typed
ALTER TABLE commands ADD COLUMN taken_back INTEGER NOT NULL DEFAULT 0;  -- 1: its text was erased because it was deleted
ALTER TABLE outbox ADD COLUMN thread TEXT;

ALTER TABLE rooms ADD COLUMN model TEXT;                   -- what somebody has set with /model; NULL: as config.yaml has it
