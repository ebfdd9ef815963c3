-- name: take_in*!
-- An event that came before, from a replayed sync or a gap that was filled twice, changes nothing.
INSERT INTO inbox (event_id, room_id, sender, sent_at, kind, body, target, mentions, taken_at)
VALUES (:event, :room, :sender, :sent_at, :kind, :body, :target, :mentions, :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: unrouted
-- In the order of arrival.
SELECT * FROM inbox WHERE routed_at IS NULL ORDER BY position LIMIT :limit;

-- name: mark_routed
-- No row: somebody settled it before, or it never came.
UPDATE inbox SET routed_at = :now WHERE event_id = :event AND routed_at IS NULL RETURNING event_id;
