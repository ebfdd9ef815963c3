-- What only whoever watches the daemon wants to know. Rooms that we have left keep their work and do not count.

-- name: queues
-- Rooms in which something waits for its turn, and since when.
SELECT room_id, count(*) AS count, min(queued_at) AS since FROM commands
WHERE state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = commands.room_id AND rooms.left_at IS NOT NULL)
GROUP BY room_id;

-- name: oldest_parcel
-- NULL while none waits.
SELECT min(put_at) AS since FROM outbox
WHERE state IN ('waiting', 'claimed')
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = outbox.room_id AND rooms.left_at IS NOT NULL);

-- name: interrupted
-- When a turn was last cut short, by room.
SELECT room_id, max(ended_at) AS at FROM commands WHERE state = 'interrupted' AND ended_at IS NOT NULL GROUP BY room_id;

-- name: sealed
-- How many that have come lately cannot be read.
SELECT count(*) AS count FROM inbox
WHERE routed_at IS NULL AND kind = 'sealed' AND raw IS NOT NULL AND taken_at >= :since;

-- name: refused
-- What was tried, and how often, also what is held back from the audit.
SELECT coalesce(json_extract(detail, '$.what'), kind) AS kind, count(*) AS count FROM audit
WHERE at >= :since AND kind IN ('refused', 'invite_refused') GROUP BY 1
UNION ALL
SELECT 'more', coalesce(sum(count), 0) FROM audit_held WHERE hour >= :hour;
