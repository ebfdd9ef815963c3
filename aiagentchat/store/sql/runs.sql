-- name: begun!
-- Before the process exists.
INSERT INTO runs (run_id, room_id, boot_id, uid, started_at) VALUES (:run, :room, :boot, :uid, :now)
ON CONFLICT (run_id) DO NOTHING;

-- name: ended!
-- Nothing of it is left.
DELETE FROM runs WHERE run_id = :run;

-- name: left
-- Whose end nobody has seen.
SELECT run_id, room_id, boot_id, uid, started_at FROM runs ORDER BY started_at, run_id;
