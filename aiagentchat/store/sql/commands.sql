-- The moves are those of core/commands.py: each statement asks for the state that its move starts from.

-- name: accept
-- A command is born queued, or rejected; a second one with its id changes nothing.
INSERT INTO commands (event_id, room_id, sender, text, session_id, state, queued_at, ended_at,
                      origin, reply_to, granted, urgent, held_until, about, thread, own, meta, caller)
SELECT :event, :room, :sender, :text, :session, :state, :queued_at, iif(:state = 'rejected', :now, NULL),
       :origin, :reply_to, :granted, :urgent, :held_until, :about, :thread, :own, :meta, :caller
WHERE :state IN ('queued', 'rejected')
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id;

-- name: join
-- Only to one that is held and waits, of the same sender and in the same conversation; that one waits on.
UPDATE commands SET held_until = :held_until, about = coalesce(about, :about)
WHERE event_id = :joins AND room_id = :room AND sender = :sender AND session_id = :session
  AND state = 'queued' AND held_until > 0
RETURNING event_id, text;

-- name: put_part!
-- The first message of a command is one of its parts, too.
INSERT INTO command_parts (event_id, command, text) VALUES (:event, :command, :text) ON CONFLICT (event_id) DO NOTHING;

-- name: edit_part
-- As `edit`, of one of its parts.
UPDATE command_parts SET text = :text
WHERE event_id = :event
  AND EXISTS (SELECT 1 FROM commands
              WHERE commands.event_id = command_parts.command AND state = 'queued' AND sender = :by)
RETURNING command;

-- name: parts
-- What is left of them.
SELECT event_id, text FROM command_parts WHERE command = :command AND text <> '' ORDER BY position;

-- name: set_text!
-- What its parts say together.
UPDATE commands SET text = :text WHERE event_id = :command;

-- name: get
-- By its id, or by that of a message that was joined to it.
SELECT * FROM commands
WHERE event_id = coalesce((SELECT command FROM command_parts WHERE command_parts.event_id = :event), :event);

-- name: rooms_with_work
-- The room whose oldest queued command waits longest comes first. Rooms that we have left keep their work. What is held
-- is no work yet, unless for longer than anything is: then the clock was set back.
SELECT room_id FROM commands
WHERE state = 'queued' AND (held_until <= :now OR held_until > :now + :most_held)
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
GROUP BY room_id ORDER BY min(position);

-- name: next_queued
-- The oldest, but what is urgent first. What is held lets the others pass.
SELECT * FROM commands
WHERE room_id = :room AND state = 'queued' AND (held_until <= :now OR held_until > :now + :most_held)
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
ORDER BY urgent DESC, position LIMIT 1;

-- name: next_held
-- One row; NULL when nothing is held.
SELECT min(held_until) AS due FROM commands WHERE state = 'queued' AND held_until > :now;

-- name: urgent
-- What the running turn can still be given.
SELECT * FROM commands WHERE room_id = :room AND state = 'queued' AND urgent = 1 ORDER BY position;

-- name: give
-- queued → running in the turn of :host, while that runs and nobody has asked to end it.
UPDATE commands SET state = 'running', started_at = :now, host = :host
WHERE event_id = :event AND state = 'queued' AND urgent = 1
  AND EXISTS (SELECT 1 FROM commands AS other
              WHERE other.event_id = :host AND other.room_id = commands.room_id AND other.state = 'running'
                AND other.host IS NULL AND other.stop_by IS NULL)
RETURNING event_id;

-- name: retryable
-- One that was taken up again is past, whatever came of it: what came of it has a row of its own. What was given to a
-- turn is no turn.
SELECT * FROM commands
WHERE room_id = :room AND host IS NULL
  AND (state IN ('failed', 'timed_out', 'interrupted') OR (state = 'cancelled' AND text <> ''))
  AND NOT EXISTS (SELECT 1 FROM commands AS later WHERE later.origin = commands.event_id)
ORDER BY position DESC LIMIT :most;

-- name: open
-- What a daemon still has to do, as far as it can: rooms that we have left wait.
SELECT count(*) AS count FROM commands
WHERE state IN ('queued', 'running')
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL);

-- name: owing
-- Those of them that nobody else is waited for: a turn that asks owes nothing before it is answered, nor does what waits
-- in the turn of another one.
SELECT count(*) AS count FROM commands
WHERE state IN ('queued', 'running') AND host IS NULL
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM approvals WHERE approvals.command = commands.event_id AND approvals.state = 'open');

-- name: queue
-- The running one comes first, whatever its position; then what was given to its turn.
SELECT * FROM commands
WHERE room_id = :room AND state IN ('queued', 'running')
ORDER BY state = 'queued', host IS NOT NULL, urgent DESC, position;

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
  AND NOT EXISTS (SELECT 1 FROM commands AS other
                  WHERE other.room_id = commands.room_id AND other.state = 'running' AND other.host IS NULL)
RETURNING event_id;

-- name: finish
-- running → an end. No row: it was not running, or that is no end.
UPDATE commands
SET state = :state, ended_at = :now, duration_ms = :duration_ms, cost_micro_usd = :cost_micro_usd,
    input_tokens = :input_tokens, output_tokens = :output_tokens
WHERE event_id = :event AND state = 'running'
  AND :state IN ('done', 'failed', 'cancelled', 'timed_out', 'interrupted')
RETURNING event_id;

-- name: carry!
-- What was given to a turn that has ended, and was not read in it: it runs on its own, or in the turn of one that does.
UPDATE commands SET host = :new WHERE event_id = :event AND host = :host AND state = 'running';

-- name: finish_given!
-- The others end as the turn did.
UPDATE commands SET state = :state, ended_at = :now WHERE host = :host AND state = 'running';

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
-- Only while it is queued, and only by whoever wrote it. A command of the agent's own is run, not its text.
UPDATE commands SET text = :text WHERE event_id = :event AND state = 'queued' AND sender = :by AND own = ''
RETURNING event_id;

-- name: last_answered
-- One whose answer we have deleted is past.
SELECT * FROM commands
WHERE room_id = :room AND ended_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM outbox
              WHERE outbox.command = commands.event_id AND type = 'm.room.message' AND erase < 2
                AND state IN ('sent', 'claimed', 'waiting'))
ORDER BY position DESC LIMIT 1;

-- name: replied_to_ours
-- As it reads after its newest edit. The conversation knows what was said in its last turn, apart from the command's own.
SELECT message.command IS NOT NULL AS of_agent,
       (SELECT newest.content FROM outbox AS newest
        WHERE (newest.txn_id = coalesce(message.edits, message.txn_id)
               OR newest.edits = coalesce(message.edits, message.txn_id))
          AND newest.state IN ('sent', 'claimed', 'waiting') AND newest.content <> '{}'
        ORDER BY newest.position DESC LIMIT 1) AS content,
       EXISTS (SELECT 1 FROM commands AS turn
               WHERE turn.event_id = message.command AND turn.session_id = :session
                 AND NOT EXISTS (SELECT 1 FROM commands AS later
                                 WHERE later.room_id = turn.room_id AND later.session_id = turn.session_id
                                   AND later.started_at >= turn.started_at AND later.position > turn.position
                                   AND later.event_id <> :command)) AS is_last
FROM outbox AS message
WHERE message.event_id = :about AND message.room_id = :room AND message.type = 'm.room.message' AND message.erase < 2;

-- name: replied_to_typed
-- What was typed, as it was changed since.
SELECT inbox.sender, coalesce(nullif(commands.text, ''), inbox.body) AS text
FROM inbox LEFT JOIN commands ON commands.event_id = inbox.event_id
WHERE inbox.event_id = :about AND inbox.room_id = :room AND inbox.kind IN ('text', 'notice');

-- name: replied_to_heard
-- What is only in the history: notices of others, and what is not kept as anything else any more. Deleted: it has no words.
SELECT sender, body AS text FROM history WHERE event_id = :about AND room_id = :room AND body <> '';

-- name: taken_up
-- Whether another command took this one up again.
SELECT 1 FROM commands WHERE origin = :event LIMIT 1;

-- name: stop_requested
-- NULL while nobody asked.
SELECT stop_by FROM commands WHERE event_id = :event;

-- name: time_limit
-- NULL while nobody has set one.
SELECT time_limit FROM commands WHERE event_id = :event;

-- name: of_session
-- The oldest first.
SELECT * FROM commands WHERE session_id = :session AND room_id = :room ORDER BY position;

-- name: move_to_session!
-- What has not ended goes on in the new conversation; what has ended stays in the story of the old one.
UPDATE commands SET session_id = :new
WHERE room_id = :room AND session_id = :old AND state IN ('queued', 'running');
