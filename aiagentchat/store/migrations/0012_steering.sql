-- What is typed while something runs or waits: given to the running turn, joined to what was typed just before, or in reply.

ALTER TABLE commands ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;      -- 1: typed with /now
ALTER TABLE commands ADD COLUMN host TEXT;                              -- the command in whose turn it runs
ALTER TABLE commands ADD COLUMN held_until INTEGER NOT NULL DEFAULT 0;  -- what its sender types before that joins it
ALTER TABLE commands ADD COLUMN about TEXT;                             -- the message that it replies to
-- A room is serial, and what was given to a turn runs in that one.
DROP INDEX commands_one_running;
CREATE UNIQUE INDEX commands_one_running ON commands (room_id) WHERE state = 'running' AND host IS NULL;
CREATE INDEX commands_given ON commands (host) WHERE host IS NOT NULL;

-- The messages that were joined to one command, which has the id of the first: each can be changed or taken back.
CREATE TABLE command_parts (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id  TEXT NOT NULL UNIQUE,
    command   TEXT NOT NULL,
    text      TEXT NOT NULL
) STRICT;
CREATE INDEX command_parts_of ON command_parts (command, position);
CREATE TRIGGER command_parts_are_erased AFTER UPDATE OF text ON commands WHEN new.text = ''
BEGIN UPDATE command_parts SET text = '' WHERE command = new.event_id AND text <> ''; END;
CREATE TRIGGER command_parts_are_pruned AFTER DELETE ON commands
BEGIN DELETE FROM command_parts WHERE command = old.event_id; END;
