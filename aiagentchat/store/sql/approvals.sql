-- Every state but open is final, so every move asks for open.

-- name: ask!
-- A question that is known changes nothing, answered or not.
INSERT INTO approvals (approval_id, room_id, command, tool, expires_at, state, decided_by, reason,
                       kind, digest, shown, events, options, many, session_id, rule, rule_shown)
VALUES (:id, :room, :command, :tool, :expires_at, :state, :decided_by, :reason, :kind, :digest, :shown, :events,
        :options, :many, :session, :rule, :rule_shown)
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
UPDATE approvals SET state = :state, decided_by = :by, reason = :reason, picked = :picked, picked_text = :picked_text
WHERE approval_id = :id AND state = 'open' AND :state IN ('allowed', 'denied')
RETURNING kind, tool, command;

-- name: allow_always
-- What the question said that ♾️ allows, and nothing else.
INSERT INTO session_rules (session_id, rule, room_id, tool, shown, command, given_by, given_at)
SELECT session_id, rule, room_id, tool, rule_shown, command, decided_by, :now FROM approvals
WHERE approval_id = :id AND state = 'allowed' AND session_id IS NOT NULL
ON CONFLICT (session_id, rule, given_by) DO NOTHING
RETURNING position;

-- name: rules
-- Of a room, the oldest first.
SELECT session_id, rule, shown, given_by FROM session_rules WHERE room_id = :room ORDER BY position;

-- name: use_rule
-- The oldest one of somebody whose word counts here.
UPDATE session_rules SET uses = uses + 1
WHERE position = (
    SELECT position FROM session_rules
    WHERE session_id = :session AND rule = :rule AND given_by IN (SELECT value FROM json_each(:by))
    ORDER BY position LIMIT 1)
RETURNING session_id, rule, shown, given_by, room_id, tool;

-- name: end_rules_of_room
-- Somebody has taken them back.
DELETE FROM session_rules WHERE room_id = :room RETURNING position;

-- name: end_rules_of_session!
-- The conversation is over.
DELETE FROM session_rules WHERE session_id = :session;

-- name: close
-- An end that nobody decided.
UPDATE approvals SET state = :state
WHERE approval_id = :id AND state = 'open' AND :state IN ('expired', 'withdrawn')
RETURNING approval_id;

-- name: withdraw_of!
-- The turn of this command is over: nobody waits for the answers.
UPDATE approvals SET state = 'withdrawn' WHERE command = :command AND state = 'open';
