-- name: running_turns
-- The oldest first.
SELECT commands.event_id, commands.room_id, rooms.slug
FROM commands LEFT JOIN rooms ON rooms.room_id = commands.room_id
WHERE commands.state = 'running' ORDER BY commands.position;
