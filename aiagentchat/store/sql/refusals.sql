-- name: count_one!
-- One more for this room on this day.
INSERT INTO refusals (room_id, day, count) VALUES (:room, :day, 1)
ON CONFLICT (room_id, day) DO UPDATE SET count = count + 1;

-- name: count_of
-- No row on a quiet day.
SELECT count FROM refusals WHERE room_id = :room AND day = :day;
