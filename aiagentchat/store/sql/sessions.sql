-- name: get
-- By its id. One that nobody has named yet is none that people know.
SELECT * FROM sessions WHERE session_id = :session AND name IS NOT NULL;

-- name: of_room
-- The last used first.
SELECT * FROM sessions WHERE room_id = :room AND name IS NOT NULL
ORDER BY used_at DESC, session_id LIMIT :limit;

-- name: begun
-- Whether the agent has seen it.
SELECT 1 FROM sessions WHERE session_id = :session AND begun_at IS NOT NULL;

-- name: mark_begun!
-- The first time stands.
INSERT INTO sessions (session_id, made_at, used_at, begun_at) VALUES (:session, :now, :now, :now)
ON CONFLICT (session_id) DO UPDATE SET begun_at = coalesce(begun_at, excluded.begun_at);

-- name: names
-- That others of the room have.
SELECT name FROM sessions WHERE room_id = :room AND name IS NOT NULL AND session_id <> :session;

-- name: make!
-- One that has a name keeps it.
INSERT INTO sessions (session_id, room_id, thread, name, named_by, made_at, used_at)
VALUES (:session, :room, :thread, :name, :named_by, :now, :now)
ON CONFLICT (session_id) DO UPDATE SET
    room_id = excluded.room_id, thread = excluded.thread, name = excluded.name, named_by = excluded.named_by
WHERE sessions.name IS NULL;

-- name: rename!
-- From now on it is somebody's choice, and no message's words.
UPDATE sessions SET name = :name, named_by = NULL WHERE session_id = :session;

-- name: carry_over!
-- What is running in it counts, wherever it was begun.
UPDATE sessions SET turns = turns + (
    SELECT count(*) FROM commands WHERE commands.session_id = sessions.session_id AND commands.state = 'running')
WHERE session_id = :session;

-- name: named_by
-- Whose name is the first words of this command.
SELECT session_id, room_id FROM sessions WHERE named_by = :command;
