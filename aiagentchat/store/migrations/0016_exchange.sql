-- What agents say to each other, what becomes of it, and what was said in the rooms.

ALTER TABLE inbox ADD COLUMN meta TEXT;                               -- JSON: what an agent says about its message
ALTER TABLE inbox ADD COLUMN by_agent INTEGER NOT NULL DEFAULT 0;     -- 1: a program says that it has written it
ALTER TABLE inbox ADD COLUMN caller TEXT;                             -- who has sent it through our gateway
ALTER TABLE inbox ADD COLUMN awaits TEXT;                             -- the parcel whose event it will be: not routed before
CREATE UNIQUE INDEX inbox_awaits ON inbox (awaits) WHERE awaits IS NOT NULL;

ALTER TABLE commands ADD COLUMN caller TEXT;                          -- as in inbox
ALTER TABLE commands ADD COLUMN meta TEXT;                            -- as in inbox: what the answer must say

-- What was said in rooms that keep a history, in the order of their timelines.
CREATE TABLE history (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id  TEXT NOT NULL UNIQUE,
    room_id   TEXT NOT NULL,
    sender    TEXT NOT NULL,
    sent_at   INTEGER NOT NULL,
    heard_at  INTEGER NOT NULL,  -- by this machine's clock
    kind      TEXT NOT NULL,     -- text, notice or file
    body      TEXT NOT NULL,     -- as it reads after its last edit; '': it was deleted
    thread    TEXT,
    reply_to  TEXT,
    meta      TEXT,              -- JSON, as it was sent, or as its last edit has it
    by_agent  INTEGER NOT NULL,
    edited_at INTEGER,           -- when its last edit was sent …
    edit_event TEXT              -- … and which event that is
) STRICT;
CREATE INDEX history_of_room ON history (room_id, position);
CREATE INDEX history_heard ON history (heard_at);
CREATE INDEX history_edits ON history (edit_event) WHERE edit_event IS NOT NULL;
CREATE INDEX history_of_thread ON history (thread, position) WHERE thread IS NOT NULL;

-- Whoever writes the one writes the other: a schema that is not trusted (see sql/database.sql) may not do it in a trigger.
CREATE VIRTUAL TABLE history_words USING fts5 (
    body, content = 'history', content_rowid = 'position', tokenize = 'unicode61 remove_diacritics 2');

-- One row: how often something was erased since erased words were last taken out of the file.
CREATE TABLE history_erased (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    times  INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_erased ON outbox (room_id) WHERE erase > 0;

-- What we have accepted to send to somebody, and how far it has come.
CREATE TABLE messages (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    room_id      TEXT NOT NULL,
    caller       TEXT NOT NULL,
    idempotency  TEXT,                 -- the caller's own key for it …
    digest       TEXT NOT NULL,        -- … and what was asked with that key
    kind         TEXT NOT NULL,
    body         TEXT NOT NULL,
    meta         TEXT NOT NULL,        -- JSON, as it is sent
    to_user      TEXT,
    txn_id       TEXT NOT NULL UNIQUE,
    event_id     TEXT UNIQUE,          -- once it is in the room
    state        TEXT NOT NULL,        -- accepted, sent, delivered, read, answered, expired or refused
    why          TEXT NOT NULL DEFAULT '',
    answer       TEXT NOT NULL DEFAULT '',
    answer_event TEXT,
    expires_at   INTEGER,
    accepted_at  INTEGER NOT NULL,
    sent_at      INTEGER,
    delivered_at INTEGER,
    read_at      INTEGER,
    ended_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX messages_once ON messages (caller, idempotency) WHERE idempotency IS NOT NULL;
CREATE INDEX messages_open ON messages (room_id, state) WHERE ended_at IS NULL;
CREATE INDEX messages_of_room ON messages (room_id);
CREATE INDEX messages_states ON messages (state);
CREATE INDEX messages_of_caller ON messages (caller, room_id) WHERE ended_at IS NULL;

-- What has come of an answer that is not whole.
CREATE TABLE message_parts (
    message   TEXT NOT NULL,
    part      INTEGER NOT NULL,
    event_id  TEXT NOT NULL,
    body      TEXT NOT NULL,        -- as it reads after its last edit; '' once the answer is whole, or it was erased …
    said_at   INTEGER NOT NULL,     -- … which was sent then
    last      INTEGER NOT NULL,
    PRIMARY KEY (message, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_parts_events ON message_parts (event_id);
CREATE TRIGGER message_parts_are_erased AFTER UPDATE OF body ON messages WHEN new.body = ''
BEGIN UPDATE message_parts SET body = '' WHERE message = new.id AND body <> ''; END;
CREATE TRIGGER message_parts_are_removed AFTER DELETE ON messages
BEGIN DELETE FROM message_parts WHERE message = old.id; END;
CREATE INDEX messages_accepted ON messages (accepted_at);
CREATE INDEX messages_answer ON messages (answer_event) WHERE answer_event IS NOT NULL;

-- Work that somebody has given to an agent: a thread. One row on either side, each in its own ledger.
CREATE TABLE tasks (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    room_id      TEXT NOT NULL,
    thread       TEXT,                 -- the event that gave it; NULL until that is in the room
    title        TEXT NOT NULL,
    by_user      TEXT NOT NULL,
    by_instance  TEXT,
    to_user      TEXT NOT NULL,
    to_instance  TEXT,
    ours         TEXT NOT NULL,        -- 'given' by us, 'taken' by us, or 'watched'
    state        TEXT NOT NULL,        -- assigned, accepted, working, done, failed, cancelled, refused or expired
    note         TEXT NOT NULL DEFAULT '',
    deadline     INTEGER,
    remind_at    INTEGER,
    reminded_at  INTEGER,
    command      TEXT,                 -- the command that works on it here
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    message      TEXT,                 -- the message that has given it; NULL while only news of it are known
    UNIQUE (room_id, id)
) STRICT;
CREATE INDEX tasks_open ON tasks (room_id, state) WHERE state IN ('assigned', 'accepted', 'working');
CREATE INDEX tasks_of_command ON tasks (command) WHERE command IS NOT NULL;
CREATE INDEX tasks_of_message ON tasks (message) WHERE message IS NOT NULL;
CREATE INDEX tasks_of_thread ON tasks (room_id, thread) WHERE thread IS NOT NULL;
CREATE INDEX tasks_by_change ON tasks (changed_at);
CREATE INDEX tasks_due ON tasks (remind_at) WHERE remind_at IS NOT NULL;

-- A task is begun when its command is.
CREATE TRIGGER tasks_are_begun AFTER UPDATE OF state ON commands WHEN new.state = 'running'
BEGIN
    UPDATE tasks SET state = 'working', changed_at = max(changed_at, new.started_at)
    WHERE command = new.event_id AND state IN ('assigned', 'accepted');
END;

-- What becomes of a message that has given a task becomes of that, as long as its taker has not said more.
CREATE TRIGGER tasks_have_a_thread AFTER UPDATE OF event_id ON messages WHEN new.event_id IS NOT NULL
BEGIN
    UPDATE tasks SET thread = new.event_id WHERE message = new.id AND room_id = new.room_id AND thread IS NULL;
END;
CREATE TRIGGER tasks_follow_messages AFTER UPDATE OF state ON messages WHEN new.state IN ('read', 'refused', 'expired')
BEGIN
    UPDATE tasks
    SET state = iif(new.state = 'read', 'working', new.state), note = iif(new.why <> '', new.why, note),
        changed_at = max(changed_at, coalesce(new.ended_at, new.read_at, changed_at)), remind_at = iif(new.state = 'read', remind_at, NULL)
    WHERE message = new.id AND room_id = new.room_id AND ours = 'given' AND state IN ('assigned', 'accepted');
END;

-- Turns that agents have asked for, for the budgets of pairs and rooms.
CREATE TABLE agent_turns (
    event_id  TEXT PRIMARY KEY,
    room_id   TEXT NOT NULL,
    pair      TEXT NOT NULL,           -- who asked whom, in alphabetical order
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX agent_turns_of_room ON agent_turns (room_id, at);

-- Rooms in which agents start nothing more before a person says /continue.
CREATE TABLE halts (
    room_id  TEXT PRIMARY KEY,
    why      TEXT NOT NULL,            -- which budget of turns is used up: 'pair' or 'room' …
    turns    INTEGER NOT NULL,         -- … and how many those were
    pair     TEXT NOT NULL,            -- as in agent_turns; '': it was the room's
    at       INTEGER NOT NULL
) STRICT;

-- Tokens that a login at the gateway gave. Of the token itself only a digest is kept.
CREATE TABLE gateway_tokens (
    digest      TEXT PRIMARY KEY,
    caller      TEXT NOT NULL,
    scopes      TEXT NOT NULL,         -- JSON: rooms and what may be done there
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
