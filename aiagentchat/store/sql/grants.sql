-- name: give!
-- The last word counts, also when it is less than the one before.
INSERT INTO grants (room_id, user_id, role, given_by, given_at, until)
VALUES (:room, :user, :role, :by, :given_at, :until)
ON CONFLICT (room_id, user_id) DO UPDATE SET
    role = excluded.role, given_by = excluded.given_by, given_at = excluded.given_at, until = excluded.until;

-- name: take!
-- Whether there is one or not.
DELETE FROM grants WHERE room_id = :room AND user_id = :user;

-- name: take_all!
-- The room is none of ours any more: whoever sets it up again lets people in again.
DELETE FROM grants WHERE room_id = :room;

-- name: in_room
-- Those that hold, the oldest first.
SELECT * FROM grants WHERE room_id = :room AND (until IS NULL OR until > :now) ORDER BY given_at, user_id;
