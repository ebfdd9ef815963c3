-- What may become of a task is decided by core/tasks.py, in the transaction that writes it down.

-- name: get
-- By its id, which is its room's.
SELECT * FROM tasks WHERE room_id = :room AND id = :task;

-- name: of_command
-- With what has become of that.
SELECT tasks.*, commands.state AS command_state, commands.stop_by, commands.meta IS NOT NULL AS by_agent FROM tasks
LEFT JOIN commands ON commands.event_id = tasks.command
WHERE tasks.command = :command;

-- name: of_thread
-- The first one that was given in it.
SELECT * FROM tasks WHERE room_id = :room AND thread = :thread ORDER BY position LIMIT 1;

-- name: open_ones
-- Of these rooms, the newest first.
SELECT * FROM tasks
WHERE room_id IN (SELECT value FROM json_each(:rooms)) AND state IN ('assigned', 'accepted', 'working')
ORDER BY position DESC LIMIT :limit;

-- name: all_of
-- Of these rooms, the newest first.
SELECT * FROM tasks WHERE room_id IN (SELECT value FROM json_each(:rooms)) ORDER BY position DESC LIMIT :limit;

-- name: watched
-- How many open ones of others are kept for a room.
SELECT count(*) AS count FROM tasks
WHERE room_id = :room AND state IN ('assigned', 'accepted', 'working') AND ours = 'watched';

-- name: due
-- What has ended is reminded of by nobody.
SELECT * FROM tasks
WHERE remind_at IS NOT NULL AND remind_at <= :now AND state IN ('assigned', 'accepted', 'working')
ORDER BY remind_at LIMIT :limit;

-- name: next_due
-- One row; NULL when nothing is to be done.
SELECT min(remind_at) AS due FROM tasks WHERE remind_at IS NOT NULL;

-- name: keep!
-- As it stands now; what cannot change of a task is not written a second time.
INSERT INTO tasks (
    id, room_id, thread, title, by_user, by_instance, to_user, to_instance, ours, state, note, deadline, remind_at,
    reminded_at, command, created_at, changed_at, message)
VALUES (:id, :room, :thread, :title, :by_user, :by_instance, :to_user, :to_instance, :ours, :state, :note, :deadline,
    :remind_at, :reminded_at, :command, :created_at, :changed_at, :message)
ON CONFLICT (room_id, id) DO UPDATE SET
    thread = excluded.thread, title = excluded.title, by_user = excluded.by_user, by_instance = excluded.by_instance,
    to_user = excluded.to_user, to_instance = excluded.to_instance, ours = excluded.ours, state = excluded.state,
    note = excluded.note, deadline = excluded.deadline, remind_at = excluded.remind_at,
    reminded_at = excluded.reminded_at, command = excluded.command, created_at = excluded.created_at,
    changed_at = excluded.changed_at, message = excluded.message;
