-- Who did what, and what an erased text has left behind.

CREATE TABLE audit (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    room_id   TEXT,                     -- NULL: no room's matter
    actor     TEXT,                     -- NULL: the operator
    subject   TEXT NOT NULL,
    detail    TEXT NOT NULL             -- JSON object of integers and short texts
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_refused ON audit (actor, room_id, at) WHERE kind IN ('refused', 'invite_refused');

-- One row: what is older may be deleted. Only the housekeeping sets it, for the length of its transaction.
CREATE TABLE audit_horizon (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    before  INTEGER NOT NULL
) STRICT;
INSERT INTO audit_horizon VALUES (1, 0);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'lines of the audit are never changed'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit WHEN old.at >= (SELECT before FROM audit_horizon WHERE id = 1)
BEGIN SELECT raise(ABORT, 'lines of the audit are kept until they are old'); END;

-- What was refused beyond the lines that an hour has for it. It becomes one line when the hour is over.
CREATE TABLE audit_held (
    actor    TEXT NOT NULL,
    room_id  TEXT NOT NULL,             -- '': no room's matter
    hour     INTEGER NOT NULL,          -- hours since the epoch
    count    INTEGER NOT NULL,
    PRIMARY KEY (actor, room_id, hour)
) STRICT;
CREATE INDEX audit_held_hour ON audit_held (hour);

-- 1: its content goes as soon as it is over. 2: it is deleted from its room, too, and not changed any more.
ALTER TABLE outbox ADD COLUMN erase INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER outbox_is_erased AFTER UPDATE OF state ON outbox
WHEN new.erase > 0 AND new.state IN ('sent', 'given_up', 'superseded') AND new.content <> '{}'
BEGIN UPDATE outbox SET content = '{}' WHERE position = new.position; END;

-- What erase.sql looks for.
CREATE INDEX outbox_of_command ON outbox (command) WHERE command IS NOT NULL;
CREATE INDEX outbox_texts ON outbox (room_id) WHERE content <> '{}';
CREATE INDEX inbox_edits ON inbox (target) WHERE kind = 'edit';
CREATE INDEX inbox_raws ON inbox (room_id) WHERE raw IS NOT NULL;
CREATE INDEX approvals_of_command ON approvals (command);
CREATE INDEX approvals_offers ON approvals (room_id) WHERE kind = 'offer';
CREATE INDEX approvals_reasons ON approvals (room_id) WHERE reason <> '';
