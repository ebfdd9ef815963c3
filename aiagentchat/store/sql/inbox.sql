-- name: take_in*!
-- An event that came before, from a replayed sync or a gap that was filled twice, changes nothing.
INSERT INTO inbox (
    event_id, room_id, sender, sent_at, kind, body, target, thread, mentions, late_ms, raw, encrypted, taken_at)
VALUES (:event, :room, :sender, :sent_at, :kind, :body, :target, :thread, :mentions, :late_ms, :raw, :encrypted, :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: unrouted
-- In the order of arrival within a room; rooms take turns, so that a room with a backlog does not hold up the others.
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY room_id ORDER BY position) AS place
    FROM inbox WHERE routed_at IS NULL AND kind <> 'sealed')
WHERE place <= :each
ORDER BY place, position LIMIT :limit;

-- name: get
-- By its id.
SELECT * FROM inbox WHERE event_id = :event;

-- name: late
-- Of what came in together, what is late and waits.
SELECT * FROM inbox
WHERE room_id = :room AND taken_at = :taken_at AND late_ms > 0 AND routed_at IS NULL
ORDER BY position;

-- name: mark_routed
-- No row: somebody settled it before, or it never came.
UPDATE inbox SET routed_at = :now WHERE event_id = :event AND routed_at IS NULL
RETURNING event_id, room_id, sender, kind;

-- name: edit_offered!
-- What has become a command is changed there, or not at all.
UPDATE inbox SET body = :text
WHERE event_id = :event AND sender = :by AND kind = 'text'
  AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id);
