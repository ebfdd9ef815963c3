-- What catching up, starting again, pacing and pruning need to know.

ALTER TABLE inbox ADD COLUMN late_ms INTEGER NOT NULL DEFAULT 0;  -- how old it was when it was taken in
ALTER TABLE inbox ADD COLUMN raw TEXT;                            -- JSON of an event that could not be read
DROP INDEX inbox_unrouted;
CREATE INDEX inbox_unrouted ON inbox (room_id, position) WHERE routed_at IS NULL;
CREATE INDEX inbox_late ON inbox (room_id, taken_at, position) WHERE routed_at IS NULL AND late_ms > 0;
CREATE INDEX inbox_routed ON inbox (routed_at) WHERE routed_at IS NOT NULL;

ALTER TABLE rooms ADD COLUMN left_at INTEGER;                     -- NULL while we are in the room

ALTER TABLE commands ADD COLUMN origin TEXT;                      -- the earlier command that this one takes up again
ALTER TABLE commands ADD COLUMN reply_to TEXT;                    -- the event that is answered, if it is not the command's
ALTER TABLE commands ADD COLUMN granted TEXT NOT NULL DEFAULT ''; -- digest of the one request that was allowed before
CREATE INDEX commands_ended ON commands (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX commands_of_origin ON commands (origin) WHERE origin IS NOT NULL;
CREATE INDEX commands_of_room ON commands (room_id, position);

ALTER TABLE approvals ADD COLUMN kind TEXT NOT NULL DEFAULT 'tool' CHECK (kind IN ('tool', 'resume', 'offer'));
ALTER TABLE approvals ADD COLUMN digest TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN shown TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN events TEXT NOT NULL DEFAULT '[]';  -- JSON array of event ids

ALTER TABLE outbox ADD COLUMN urgency INTEGER NOT NULL DEFAULT 2;
ALTER TABLE outbox ADD COLUMN claimed_at INTEGER;                 -- the last claim, and the device it was for
ALTER TABLE outbox ADD COLUMN claimed_as TEXT;
ALTER TABLE outbox ADD COLUMN tried_at INTEGER;                   -- the first of the claims before that, and the device
ALTER TABLE outbox ADD COLUMN tried_as TEXT;                      -- that they were all for, or else '*'
ALTER TABLE outbox ADD COLUMN faults INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN variant INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX outbox_command ON outbox (command) WHERE state = 'waiting';
CREATE INDEX outbox_approval ON outbox (approval) WHERE approval IS NOT NULL;
-- What an earlier version had tried to send, and for which device it does not say.
UPDATE outbox SET claimed_at = put_at, claimed_as = '*' WHERE claims > 0 AND state IN ('waiting', 'claimed');

-- Whatever asks for the parcels of a room asks this index alone: a row has its content before the columns of this file,
-- on pages of its own.
DROP INDEX outbox_open;
CREATE INDEX outbox_open ON outbox (room_id, position, state, urgency, not_before)
    WHERE state IN ('waiting', 'claimed');

-- What may be sent next as far as the order of its room is concerned. A room's parcels leave one after the other, except
-- that urgency 0 lets the others pass and is in nobody's way: so at most the first parcel of all, if it is one of those,
-- and the first of the others. `wanted` is the urgency of what waits behind it, too.
CREATE VIEW outbox_heads AS
SELECT head.position, head.put_at, head.not_before, iif(head.urgency = 0, 0, room.wanted) AS wanted
FROM (
    SELECT room_id, max(urgency) AS wanted, min(position) AS first, min(iif(urgency > 0, position, NULL)) AS lead,
           max(state = 'claimed') AS is_busy, max(state = 'claimed' AND urgency > 0) AS is_led
    FROM outbox WHERE state IN ('waiting', 'claimed') GROUP BY room_id) AS room
JOIN outbox AS head ON head.position IN (room.first, room.lead)
WHERE head.state = 'waiting'
  AND iif(head.urgency > 0, head.position = room.lead AND NOT room.is_led, NOT room.is_busy)
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = head.room_id AND rooms.left_at IS NOT NULL);

-- One row: who this data_dir is among all that may use the account, and when it was last known to live.
CREATE TABLE daemon (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    installation  TEXT NOT NULL,
    alive_at      INTEGER NOT NULL
) STRICT;

-- What housekeeping.sql looks for: what is over, and what of it still has its text. A superseded parcel of an earlier
-- version does not say when that was.
CREATE INDEX inbox_bodies ON inbox (routed_at) WHERE routed_at IS NOT NULL AND (body <> '' OR raw IS NOT NULL);
CREATE INDEX commands_texts ON commands (ended_at) WHERE ended_at IS NOT NULL AND text <> '';
CREATE INDEX outbox_over ON outbox (coalesce(ended_at, put_at)) WHERE state IN ('sent', 'given_up', 'superseded');
CREATE INDEX outbox_contents ON outbox (coalesce(ended_at, put_at))
    WHERE state IN ('sent', 'given_up', 'superseded') AND content <> '{}';
CREATE INDEX approvals_over ON approvals (expires_at) WHERE state <> 'open';
