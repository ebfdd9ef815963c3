-- name: waiting
-- What is sealed and was not taken back, a page at a time, in the order of arrival.
SELECT * FROM inbox
WHERE routed_at IS NULL AND kind = 'sealed' AND raw IS NOT NULL AND position > :after
ORDER BY position LIMIT :limit;

-- name: opened
-- Now it is what it is, and has come in at this moment; once.
UPDATE inbox SET kind = :kind, body = :body, target = :target, thread = :thread, mentions = :mentions, raw = :raw, late_ms = :late_ms,
    file = :file, encrypted = 1, meta = :meta, by_agent = :by_agent, taken_at = :now
WHERE event_id = :event AND routed_at IS NULL AND kind = 'sealed' AND raw IS NOT NULL
RETURNING event_id, 1 AS was_there;

-- name: settled
-- It is of no use (any more). What was taken back is not there.
UPDATE inbox SET routed_at = :now
WHERE event_id = :event AND routed_at IS NULL AND kind = 'sealed'
RETURNING event_id, raw IS NOT NULL AS was_there;

-- name: untold
-- Sessions of which nobody was told: whose, since when, and how many messages.
SELECT room_id, sender, body AS session_id, count(*) AS count, min(taken_at) AS since, min(position) AS first
FROM inbox
WHERE routed_at IS NULL AND kind = 'sealed' AND raw IS NOT NULL
  AND NOT EXISTS (
      SELECT 1 FROM seals_told AS told
      WHERE told.room_id = inbox.room_id AND told.sender = inbox.sender AND told.session_id = inbox.body)
GROUP BY room_id, sender, body
ORDER BY first;

-- name: mark_told
-- No row: it was told before.
INSERT INTO seals_told (room_id, sender, session_id, told_at) VALUES (:room, :sender, :session, :now)
ON CONFLICT DO NOTHING
RETURNING session_id;

-- name: count
-- How many cannot be read.
SELECT count(*) AS count FROM inbox WHERE routed_at IS NULL AND kind = 'sealed' AND raw IS NOT NULL;

-- name: give_up
-- What was taken back, is too old, or more than is kept: the oldest first.
UPDATE inbox SET routed_at = :now
WHERE routed_at IS NULL AND kind = 'sealed' AND (
    raw IS NULL OR taken_at < :before OR position <= (
        SELECT position FROM inbox WHERE routed_at IS NULL AND kind = 'sealed'
        ORDER BY position DESC LIMIT 1 OFFSET :most))
RETURNING event_id;

-- name: forget_told!
-- Of what was told so long ago nothing waits any more.
DELETE FROM seals_told WHERE told_at < :before;
