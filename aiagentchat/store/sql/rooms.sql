-- name: current_session
-- NULL, or no row, before the first command.
SELECT session_id FROM rooms WHERE room_id = :room;

-- name: set_session!
-- From now on.
INSERT INTO rooms (room_id, session_id) VALUES (:room, :session)
ON CONFLICT (room_id) DO UPDATE SET session_id = excluded.session_id;

-- name: set_first_session!
-- Only a room that is in no conversation yet enters this one.
INSERT INTO rooms (room_id, session_id) VALUES (:room, :session)
ON CONFLICT (room_id) DO UPDATE SET session_id = excluded.session_id WHERE session_id IS NULL;

-- name: replace_session!
-- A room that somebody has led into another conversation stays there.
UPDATE rooms SET session_id = :new WHERE room_id = :room AND session_id = :old;

-- name: model
-- NULL, or no row, where nobody has set one.
SELECT model FROM rooms WHERE room_id = :room;

-- name: set_model!
-- NULL is what config.yaml says.
INSERT INTO rooms (room_id, model) VALUES (:room, :model)
ON CONFLICT (room_id) DO UPDATE SET model = excluded.model;

-- name: slugs
-- Every folder name that is taken, and by whom.
SELECT room_id, slug FROM rooms WHERE slug IS NOT NULL;

-- name: fix_slug!
-- A folder name that a room has is never changed.
INSERT INTO rooms (room_id, slug) VALUES (:room, :slug)
ON CONFLICT (room_id) DO UPDATE SET slug = excluded.slug WHERE slug IS NULL;

-- name: uids
-- Every user id that a room has, and which room.
SELECT room_id, uid FROM rooms WHERE uid IS NOT NULL;

-- name: fix_uid!
-- The user id that a room has is never changed: its files are that user's.
INSERT INTO rooms (room_id, uid) VALUES (:room, :uid)
ON CONFLICT (room_id) DO UPDATE SET uid = excluded.uid WHERE uid IS NULL;

-- name: is_encrypted
-- No row: nothing is known.
SELECT 1 FROM rooms WHERE room_id = :room AND encrypted_at IS NOT NULL;

-- name: leave!
-- The first time stands until we are back.
INSERT INTO rooms (room_id, left_at) VALUES (:room, :now)
ON CONFLICT (room_id) DO UPDATE SET left_at = coalesce(left_at, excluded.left_at);

-- name: enter!
-- A room without a row has nothing to keep.
UPDATE rooms SET left_at = NULL WHERE room_id = :room;

-- name: entered!
-- Of those that we had left.
UPDATE rooms SET left_at = NULL
WHERE left_at IS NOT NULL AND room_id IN (SELECT value FROM json_each(:rooms));
