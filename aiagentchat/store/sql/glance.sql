-- name: running_turns
-- The oldest first.
SELECT commands.event_id, commands.room_id, rooms.slug
FROM commands LEFT JOIN rooms ON rooms.room_id = commands.room_id
WHERE commands.state = 'running' AND commands.host IS NULL ORDER BY commands.position;

-- name: login
-- As in accounts.sql.
SELECT user_id, device_id, access_token FROM accounts WHERE user_id = :user;

-- name: is_renewable
-- Of its refresh token nothing else is read here: whoever uses it owns the login from then on.
SELECT refresh_token IS NOT NULL FROM accounts WHERE user_id = :user;

-- name: installation
-- As in daemon.sql; no row before the first life.
SELECT installation FROM daemon WHERE id = 1;

-- name: slugs
-- As in rooms.sql.
SELECT room_id, slug FROM rooms WHERE slug IS NOT NULL;

-- name: where_we_are
-- Of each room that is known: whether anything was run there, and whether we have left it.
SELECT room_id, session_id IS NOT NULL AS heard, left_at IS NOT NULL AS gone FROM rooms;

-- name: seeds
-- As in identities.sql.
SELECT seeds FROM identities WHERE user_id = :user;
