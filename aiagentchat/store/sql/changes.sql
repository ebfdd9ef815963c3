-- name: keep!
-- In the place of what the room had.
INSERT INTO changes (room_id, command, made_at, files, added, removed, patch, cut)
VALUES (:room, :command, :at, :files, :added, :removed, :patch, :cut)
ON CONFLICT (room_id) DO UPDATE
SET command = excluded.command, made_at = excluded.made_at, files = excluded.files, added = excluded.added,
    removed = excluded.removed, patch = excluded.patch, cut = excluded.cut;

-- name: last
-- Of a room.
SELECT * FROM changes WHERE room_id = :room;
