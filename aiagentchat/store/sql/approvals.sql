-- Every state but open is final, so every move asks for open.

-- name: ask!
-- A question that is known changes nothing, answered or not.
INSERT INTO approvals (approval_id, room_id, command, tool, expires_at, state, decided_by, reason,
                       kind, digest, shown, events)
VALUES (:id, :room, :command, :tool, :expires_at, :state, :decided_by, :reason, :kind, :digest, :shown, :events)
ON CONFLICT (approval_id) DO NOTHING;

-- name: get
-- By its id.
SELECT * FROM approvals WHERE approval_id = :id;

-- name: open_in
-- Oldest first.
SELECT * FROM approvals WHERE room_id = :room AND state = 'open' ORDER BY position;

-- name: open_of
-- Oldest first.
SELECT * FROM approvals WHERE command = :command AND state = 'open' ORDER BY position;

-- name: decide
-- A person's answer. The first one stands.
UPDATE approvals SET state = :state, decided_by = :by, reason = :reason
WHERE approval_id = :id AND state = 'open' AND :state IN ('allowed', 'denied')
RETURNING kind, tool, command;

-- name: close
-- An end that nobody decided.
UPDATE approvals SET state = :state
WHERE approval_id = :id AND state = 'open' AND :state IN ('expired', 'withdrawn')
RETURNING approval_id;

-- name: withdraw_of!
-- The turn of this command is over: nobody waits for the answers.
UPDATE approvals SET state = 'withdrawn' WHERE command = :command AND state = 'open';
