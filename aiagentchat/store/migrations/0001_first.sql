-- Times are milliseconds since the epoch. `position` keeps the order of arrival: a clock may go backwards, it may not.

CREATE TABLE accounts (
    user_id       TEXT PRIMARY KEY,
    device_id     TEXT NOT NULL,
    access_token  TEXT NOT NULL
) STRICT;

-- One row: the token up to which every event is in `inbox`.
CREATE TABLE sync_token (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    token  TEXT NOT NULL
) STRICT;

CREATE TABLE inbox (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   TEXT NOT NULL UNIQUE,
    room_id    TEXT NOT NULL,
    sender     TEXT NOT NULL,
    sent_at    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    body       TEXT NOT NULL,
    target     TEXT,
    mentions   TEXT NOT NULL,           -- JSON array of user ids
    taken_at   INTEGER NOT NULL,
    routed_at  INTEGER                  -- NULL until its effects are committed
) STRICT;
CREATE INDEX inbox_unrouted ON inbox (position) WHERE routed_at IS NULL;

CREATE TABLE rooms (
    room_id     TEXT PRIMARY KEY,
    slug        TEXT UNIQUE,            -- the folder name, fixed at the first start
    session_id  TEXT                    -- the current conversation
) STRICT;

CREATE TABLE sessions (
    session_id  TEXT PRIMARY KEY,
    begun_at    INTEGER NOT NULL        -- a row means that the agent has seen it
) STRICT;

CREATE TABLE commands (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT NOT NULL UNIQUE,
    room_id        TEXT NOT NULL,
    sender         TEXT NOT NULL,
    text           TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN (
                       'queued', 'running', 'done', 'failed', 'cancelled', 'timed_out', 'interrupted', 'rejected')),
    stop_by        TEXT,                -- who asked to end it
    queued_at      INTEGER NOT NULL,
    started_at     INTEGER,
    ended_at       INTEGER,
    duration_ms    INTEGER NOT NULL DEFAULT 0,
    cost_micro_usd INTEGER NOT NULL DEFAULT 0,
    input_tokens   INTEGER NOT NULL DEFAULT 0,
    output_tokens  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX commands_of_state ON commands (state, room_id, position);
-- A room is serial: the database itself refuses a second running command.
CREATE UNIQUE INDEX commands_one_running ON commands (room_id) WHERE state = 'running';
CREATE INDEX commands_of_session ON commands (session_id);

CREATE TABLE approvals (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    approval_id  TEXT NOT NULL UNIQUE,
    room_id      TEXT NOT NULL,
    command      TEXT NOT NULL,
    tool         TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'allowed', 'denied', 'expired', 'withdrawn')),
    decided_by   TEXT,
    reason       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX approvals_open ON approvals (room_id, position) WHERE state = 'open';
CREATE INDEX approvals_open_of_command ON approvals (command) WHERE state = 'open';

CREATE TABLE outbox (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    txn_id      TEXT NOT NULL UNIQUE,
    room_id     TEXT NOT NULL,
    type        TEXT NOT NULL,
    content     TEXT NOT NULL,          -- JSON
    edits       TEXT,                   -- txn_id of the parcel whose message this replaces
    command     TEXT,
    approval    TEXT,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'sent', 'given_up', 'superseded')),
    put_at      INTEGER NOT NULL,
    not_before  INTEGER NOT NULL DEFAULT 0,
    claims      INTEGER NOT NULL DEFAULT 0,  -- how often it was offered: above 0 it may be in the room already
    event_id    TEXT,                   -- what it became
    ended_at    INTEGER,
    why         TEXT                    -- why it was given up
) STRICT;
CREATE INDEX outbox_open ON outbox (room_id, position) WHERE state IN ('waiting', 'claimed');
CREATE INDEX outbox_edits ON outbox (edits, state, position) WHERE edits IS NOT NULL;
CREATE INDEX outbox_event ON outbox (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE refusals (
    room_id  TEXT NOT NULL,
    day      TEXT NOT NULL,             -- YYYY-MM-DD, UTC
    count    INTEGER NOT NULL,
    PRIMARY KEY (room_id, day)
) STRICT;
