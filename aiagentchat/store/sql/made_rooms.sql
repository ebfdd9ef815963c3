-- name: made
-- The oldest first.
SELECT room_id, folder, direct, made_by, made_at FROM made_rooms ORDER BY made_at, room_id;

-- name: make!
-- Whoever makes a room again makes it anew.
INSERT INTO made_rooms (room_id, folder, direct, made_by, made_at) VALUES (:room, :folder, :direct, :by, :at)
ON CONFLICT (room_id) DO UPDATE SET
    folder = excluded.folder, direct = excluded.direct, made_by = excluded.made_by, made_at = excluded.made_at;

-- name: unmake!
-- Its folder name stays its own: see rooms.sql.
DELETE FROM made_rooms WHERE room_id = :room;

-- name: waiting
-- The longest waiting first.
SELECT room_id, by_user, since_at, until_at, keeps FROM waiting_rooms ORDER BY since_at, room_id;

-- name: wait_in!
-- One that keeps what is said keeps it since the first time.
INSERT INTO waiting_rooms (room_id, by_user, since_at, until_at, keeps) VALUES (:room, :by, :since, :until, :keeps)
ON CONFLICT (room_id) DO UPDATE SET
    by_user = excluded.by_user, until_at = excluded.until_at, keeps = excluded.keeps,
    since_at = iif(waiting_rooms.keeps, waiting_rooms.since_at, excluded.since_at);

-- name: stop_waiting!
-- It was made, or we have left.
DELETE FROM waiting_rooms WHERE room_id = :room;

-- name: look_again!
-- What was kept, the newest of it, as if it had come now: what is old by now is late. What has become a command stays
-- one, and :by_event is what has made the room.
UPDATE inbox SET
    routed_at = NULL, taken_at = :now,
    late_ms = iif(sent_at > 0 AND :now - sent_at > :late, :now - sent_at, late_ms)
WHERE position IN (
    SELECT inbox.position FROM inbox JOIN waiting_rooms AS waiting ON waiting.room_id = inbox.room_id
    WHERE inbox.room_id = :room AND waiting.keeps AND inbox.taken_at >= waiting.since_at
      AND inbox.routed_at >= waiting.since_at AND inbox.event_id <> :by_event AND inbox.kind NOT IN ('invite', 'joined', 'left')
      AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id)
    ORDER BY +inbox.position DESC LIMIT :most);

-- name: erase_kept!
-- Nobody will ask for it.
UPDATE inbox SET body = '', raw = NULL
WHERE position IN (
    SELECT inbox.position FROM inbox JOIN waiting_rooms AS waiting ON waiting.room_id = inbox.room_id
    WHERE inbox.room_id = :room AND waiting.keeps AND inbox.taken_at >= waiting.since_at
      AND inbox.routed_at >= waiting.since_at AND inbox.kind <> 'invite'
      AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id));

-- name: leave_now!
-- Whoever serves this database next leaves the room.
INSERT INTO waiting_rooms (room_id, by_user, since_at, until_at, keeps)
SELECT room_id, made_by, made_at, made_at, 0 FROM made_rooms WHERE room_id = :room
ON CONFLICT (room_id) DO NOTHING;
