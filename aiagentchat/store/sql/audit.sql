-- name: write!
-- Lines are added, and never changed (migrations/0006_audit.sql).
INSERT INTO audit (at, kind, room_id, actor, subject, detail)
VALUES (:at, :kind, :room, :actor, :subject, :detail);

-- name: refused_since
-- How much of one sender in one room was refused since then, as far as it has lines.
SELECT count(*) AS count FROM audit
WHERE actor = :actor AND room_id IS :room AND at >= :since AND kind IN ('refused', 'invite_refused');

-- name: hold!
-- One more that gets no line of its own.
INSERT INTO audit_held (actor, room_id, hour, count) VALUES (:actor, :room, :hour, 1)
ON CONFLICT (actor, room_id, hour) DO UPDATE SET count = count + 1;

-- name: held_before
-- Of hours that are over.
SELECT actor, room_id, hour, count FROM audit_held WHERE hour < :hour ORDER BY hour, actor, room_id;

-- name: release_before!
-- They have become lines.
DELETE FROM audit_held WHERE hour < :hour;

-- name: lines
-- The newest ones, the newest first.
SELECT position, at, kind, room_id, actor, subject, detail FROM audit
WHERE position > :after AND at >= :since
  AND (:room IS NULL OR room_id = :room) AND (:actor IS NULL OR actor = :actor) AND (:kind IS NULL OR kind = :kind)
ORDER BY position DESC LIMIT :limit;

-- name: open_horizon!
-- From here on, until it is closed, what is older may be deleted.
UPDATE audit_horizon SET before = :before WHERE id = 1;

-- name: prune
-- At most :most rows.
DELETE FROM audit WHERE position IN (SELECT position FROM audit WHERE at < :before ORDER BY at LIMIT :most)
RETURNING position;
