-- name: count_turn!
-- Once for each message, however often it comes.
INSERT INTO agent_turns (event_id, room_id, pair, at) VALUES (:event, :room, :pair, :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: standing
-- One row: how many turns of the room are younger than that, and how many of them are the pair's.
SELECT count(*) AS in_room, count(*) FILTER (WHERE pair = :pair) AS in_pair
FROM agent_turns WHERE room_id = :room AND at > :since;

-- name: halt
-- The first reason stands.
INSERT INTO halts (room_id, why, turns, pair, at) VALUES (:room, :why, :turns, :pair, :at)
ON CONFLICT (room_id) DO NOTHING
RETURNING room_id;

-- name: lift
-- No row: nothing was halted there.
DELETE FROM halts WHERE room_id = :room RETURNING room_id;

-- name: count_anew!
-- What was counted in the room until now counts no more.
DELETE FROM agent_turns WHERE room_id = :room;

-- name: halt_of
-- No row where agents may go on.
SELECT * FROM halts WHERE room_id = :room;

-- name: halts
-- Of all rooms.
SELECT * FROM halts ORDER BY at, room_id;
