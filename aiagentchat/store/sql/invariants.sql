-- What must be true of the rows. Each statement returns what breaks it, as `what`, and nothing in a sound ledger.

-- name: moments_of_commands
-- What has ended says when, what has started too, and nothing else does.
SELECT event_id AS what FROM commands
WHERE (state IN ('queued', 'running')) <> (ended_at IS NULL) OR (state = 'running' AND started_at IS NULL);

-- name: rooms_that_run_two
-- A room is serial.
SELECT room_id AS what FROM commands WHERE state = 'running' AND host IS NULL GROUP BY room_id HAVING count(*) > 1;

-- name: parcels_without_event
-- What was sent has become something, and nothing else has.
SELECT txn_id AS what FROM outbox WHERE (state = 'sent') <> (event_id IS NOT NULL);

-- name: events_of_two_parcels
-- An event is one parcel's.
SELECT event_id AS what FROM outbox WHERE event_id IS NOT NULL GROUP BY event_id HAVING count(*) > 1;

-- name: rooms_with_two_on_their_way
-- The parcels of a room leave one after the other, spare ones aside.
SELECT room_id AS what FROM outbox
WHERE state IN ('waiting', 'claimed') AND state = 'claimed' AND urgency > 0 GROUP BY room_id HAVING count(*) > 1;

-- name: messages_with_two_edits
-- A newer edit that waits takes the place of an older one.
SELECT edits AS what FROM outbox
WHERE edits IS NOT NULL AND state = 'waiting' GROUP BY edits HAVING count(*) > 1;

-- name: edits_of_nothing
-- The message that waits to be changed is known, and in the same room.
SELECT txn_id AS what FROM outbox
WHERE edits IS NOT NULL AND state IN ('waiting', 'claimed')
  AND NOT EXISTS (
      SELECT 1 FROM outbox AS message WHERE message.txn_id = outbox.edits AND message.room_id = outbox.room_id);

-- name: files_of_nothing
-- A file is kept for a parcel that is not over.
SELECT txn_id AS what FROM attachments
WHERE NOT EXISTS (
    SELECT 1 FROM outbox
    WHERE outbox.txn_id = attachments.txn_id AND outbox.state IN ('waiting', 'claimed') AND outbox.attached);

-- name: questions_of_the_ended
-- A turn that has ended asks nothing.
SELECT approval_id AS what FROM approvals
WHERE state = 'open' AND kind IN ('tool', 'choice', 'plan')
  AND EXISTS (SELECT 1 FROM commands WHERE commands.event_id = approvals.command AND commands.state <> 'running');

-- name: words_of_nothing
-- What was said, and the index of its words, have the same rows.
SELECT event_id AS what FROM history
WHERE NOT EXISTS (SELECT 1 FROM history_words_docsize AS words WHERE words.id = history.position)
UNION ALL SELECT 'row ' || words.id FROM history_words_docsize AS words
WHERE NOT EXISTS (SELECT 1 FROM history WHERE history.position = words.id);

-- name: waits_for_nothing
-- What waits to be an event waits for a parcel that is to be sent.
SELECT event_id AS what FROM inbox
WHERE awaits IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM outbox WHERE txn_id = inbox.awaits AND state IN ('waiting', 'claimed'));

-- name: turns_of_nothing
-- Counted together with the command that it is, which is kept for longer.
SELECT event_id AS what FROM agent_turns
WHERE NOT EXISTS (
    SELECT 1 FROM commands
    WHERE commands.event_id = agent_turns.event_id AND commands.room_id = agent_turns.room_id
      AND commands.state <> 'rejected');

-- name: halts_for_nothing
-- One of the two budgets was used up, and for that of two it is known who they are.
SELECT room_id AS what FROM halts WHERE why NOT IN ('pair', 'room') OR (why = 'pair') <> (pair <> '');

-- name: tasks_of_the_ended
-- What works on a task here ends it in the transaction in which it ends, and begins it in the one in which it begins.
SELECT tasks.id AS what FROM tasks JOIN commands ON commands.event_id = tasks.command
WHERE (tasks.state IN ('assigned', 'accepted', 'working') AND commands.state NOT IN ('queued', 'running'))
   OR (tasks.state IN ('assigned', 'accepted') AND commands.state = 'running');

-- name: not_readable
-- What is kept as JSON is JSON.
SELECT txn_id AS what FROM outbox WHERE NOT json_valid(content)
UNION ALL SELECT event_id FROM inbox WHERE NOT json_valid(mentions) OR NOT json_valid(coalesce(meta, '{}'))
UNION ALL SELECT event_id FROM commands WHERE NOT json_valid(coalesce(meta, '{}'))
UNION ALL SELECT event_id FROM history WHERE NOT json_valid(coalesce(meta, '{}'))
UNION ALL SELECT id FROM messages WHERE NOT json_valid(meta)
UNION ALL SELECT approval_id FROM approvals WHERE NOT json_valid(events) OR NOT json_valid(options)
UNION ALL SELECT 'audit line ' || position FROM audit WHERE NOT json_valid(detail);
