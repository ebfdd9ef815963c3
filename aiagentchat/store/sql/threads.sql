-- name: current_session
-- No row before its first command.
SELECT session_id FROM threads WHERE room_id = :room AND thread = :thread;

-- name: set_session!
-- From now on.
INSERT INTO threads (room_id, thread, session_id) VALUES (:room, :thread, :session)
ON CONFLICT (room_id, thread) DO UPDATE SET session_id = excluded.session_id;

-- name: set_first_session!
-- Only a thread that is in no conversation yet enters this one.
INSERT INTO threads (room_id, thread, session_id) VALUES (:room, :thread, :session)
ON CONFLICT (room_id, thread) DO NOTHING;

-- name: replace_session!
-- Those that somebody has led into another conversation stay there.
UPDATE threads SET session_id = :new WHERE session_id = :old AND room_id = :room;
