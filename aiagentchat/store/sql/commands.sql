-- The moves are those of core/commands.py: each statement asks for the state that its move starts from.

-- name: accept
-- A command is born queued, or rejected; a second one with its id changes nothing.
INSERT INTO commands (event_id, room_id, sender, text, session_id, state, queued_at, ended_at,
                      origin, reply_to, granted)
SELECT :event, :room, :sender, :text, :session, :state, :queued_at, iif(:state = 'rejected', :now, NULL),
       :origin, :reply_to, :granted
WHERE :state IN ('queued', 'rejected')
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id;

-- name: get
-- By its id.
SELECT * FROM commands WHERE event_id = :event;

-- name: rooms_with_work
-- The room whose oldest queued command waits longest comes first. Rooms that we have left keep their work.
SELECT room_id FROM commands
WHERE state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
GROUP BY room_id ORDER BY min(position);

-- name: next_queued
-- The oldest.
SELECT * FROM commands
WHERE room_id = :room AND state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
ORDER BY position LIMIT 1;

-- name: retryable
-- One that was taken up again is past, whatever came of it: what came of it has a row of its own.
SELECT * FROM commands
WHERE room_id = :room
  AND (state IN ('failed', 'timed_out', 'interrupted') OR (state = 'cancelled' AND text <> ''))
  AND NOT EXISTS (SELECT 1 FROM commands AS later WHERE later.origin = commands.event_id)
ORDER BY position DESC LIMIT :most;

-- name: open
-- What a daemon still has to do, as far as it can: rooms that we have left wait.
SELECT count(*) AS count FROM commands
WHERE state IN ('queued', 'running')
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL);

-- name: queue
-- The running one comes first, whatever its position.
SELECT * FROM commands
WHERE room_id = :room AND state IN ('queued', 'running')
ORDER BY state = 'queued', position;

-- name: running
-- Of all rooms.
SELECT * FROM commands WHERE state = 'running' ORDER BY position;

-- name: counts
-- States without a command have no row.
SELECT state, count(*) AS count FROM commands GROUP BY state;

-- name: start
-- queued → running, unless the room runs another one.
UPDATE commands SET state = 'running', started_at = :now
WHERE event_id = :event AND state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM commands AS other WHERE other.room_id = commands.room_id AND other.state = 'running')
RETURNING event_id;

-- name: finish
-- running → an end. No row: it was not running, or that is no end.
UPDATE commands
SET state = :state, ended_at = :now, duration_ms = :duration_ms, cost_micro_usd = :cost_micro_usd,
    input_tokens = :input_tokens, output_tokens = :output_tokens
WHERE event_id = :event AND state = 'running'
  AND :state IN ('done', 'failed', 'cancelled', 'timed_out', 'interrupted')
RETURNING event_id;

-- name: turn_away
-- queued → cancelled, because whoever asked may not run it (any more): nobody has stopped it.
UPDATE commands SET state = 'cancelled', ended_at = :now
WHERE event_id = :event AND state = 'queued'
RETURNING room_id, sender;

-- name: request_stop
-- queued → cancelled at once; a running one remembers who asked first, and its executor ends it.
UPDATE commands
SET stop_by = coalesce(stop_by, :by),
    ended_at = iif(state = 'queued', :now, ended_at),
    state = iif(state = 'queued', 'cancelled', state)
WHERE event_id = :event AND state IN ('queued', 'running')
RETURNING sender;

-- name: stop_running!
-- Of one room; what is queued there stays.
UPDATE commands SET stop_by = coalesce(stop_by, :by) WHERE room_id = :room AND state = 'running';

-- name: set_time_limit
-- Only of a turn that runs: the next one has the room's own again.
UPDATE commands SET time_limit = :seconds WHERE event_id = :event AND state = 'running' RETURNING event_id;

-- name: edit
-- Only while it is queued, and only by whoever wrote it.
UPDATE commands SET text = :text WHERE event_id = :event AND state = 'queued' AND sender = :by RETURNING event_id;

-- name: last_answered
-- One whose answer we have deleted is past.
SELECT * FROM commands
WHERE room_id = :room AND ended_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM outbox
              WHERE outbox.command = commands.event_id AND type = 'm.room.message' AND erase < 2
                AND state IN ('sent', 'claimed', 'waiting'))
ORDER BY position DESC LIMIT 1;

-- name: taken_up
-- Whether another command took this one up again.
SELECT 1 FROM commands WHERE origin = :event LIMIT 1;

-- name: stop_requested
-- NULL while nobody asked.
SELECT stop_by FROM commands WHERE event_id = :event;

-- name: time_limit
-- NULL while nobody has set one.
SELECT time_limit FROM commands WHERE event_id = :event;

-- name: move_to_session!
-- What has not ended goes on in the new conversation; what has ended stays in the story of the old one.
UPDATE commands SET session_id = :new
WHERE room_id = :room AND session_id = :old AND state IN ('queued', 'running');
