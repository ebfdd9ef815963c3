-- name: command_of
-- The command that an id belongs to: its own, that of a part of it, of an answer, of a question; no row: none.
SELECT event_id FROM commands WHERE event_id = :id
UNION ALL SELECT command FROM command_parts WHERE event_id = :id
UNION ALL SELECT command FROM outbox WHERE event_id = :id AND command IS NOT NULL
UNION ALL SELECT command FROM approvals WHERE approval_id = :id
LIMIT 1;

-- name: message
-- What came from a room; its text is erased before the row is. What is closed may be a message of ours.
SELECT event_id, room_id, sender, kind, body, sent_at, taken_at, routed_at, late_ms, position,
       by_agent OR caller IS NOT NULL AS of_program
FROM inbox
WHERE event_id = :id AND kind <> 'closed';

-- name: answered
-- What a message of ours without a command answers, as far as its text is still there.
SELECT json_extract(content, '$."m.relates_to"."m.in_reply_to".event_id') AS event_id FROM outbox
WHERE event_id = :id;

-- name: sent
-- What a caller has sent, by its id or by what it has become; with its parcel, as far as that is kept.
SELECT messages.*, outbox.state AS parcel_state, outbox.why AS parcel_why FROM messages
LEFT JOIN outbox ON outbox.txn_id = messages.txn_id
WHERE messages.id = :id
UNION ALL
SELECT messages.*, outbox.state AS parcel_state, outbox.why AS parcel_why FROM messages
LEFT JOIN outbox ON outbox.txn_id = messages.txn_id
WHERE messages.event_id = :id
LIMIT 1;

-- name: task
-- By its id, which is its room's: what is younger, if there are several. Or by what it was given with.
SELECT * FROM tasks WHERE id = :id OR message = :id OR thread = :id ORDER BY id = :id DESC, position DESC LIMIT 1;

-- name: command
-- With what was and is before it in its room.
SELECT commands.*,
       (SELECT count(*) FROM commands AS before
        WHERE before.room_id = commands.room_id AND before.position < commands.position AND before.host IS NULL
          AND before.state <> 'rejected' AND (before.ended_at IS NULL OR before.ended_at > commands.queued_at)) AS ahead,
       (SELECT count(*) FROM commands AS before
        WHERE before.room_id = commands.room_id AND before.position < commands.position AND before.host IS NULL
          AND before.state = 'queued') AS ahead_now,
       (SELECT event_id FROM commands AS other
        WHERE other.room_id = commands.room_id AND other.position <> commands.position AND other.state = 'running'
          AND other.host IS NULL) AS busy_with
FROM commands WHERE event_id = :command;

-- name: parts
-- The other messages that are one command with it.
SELECT event_id FROM command_parts WHERE command = :command AND event_id <> :command ORDER BY position;

-- name: retries
-- What takes it up again.
SELECT event_id, state, queued_at FROM commands WHERE origin = :command ORDER BY position;

-- name: questions
-- A question is asked when its message is put into the outbox.
SELECT approvals.approval_id, kind, tool, approvals.state, decided_by, expires_at,
       (SELECT min(put_at) FROM outbox WHERE outbox.approval = approvals.approval_id) AS asked_at
FROM approvals WHERE command = :command ORDER BY approvals.position;

-- name: lines
-- Whatever the audit has about it.
SELECT at, kind, room_id, actor, subject, detail FROM audit
WHERE subject IN (:id, :command) OR json_extract(detail, '$.command') = :command ORDER BY position;

-- name: parcels
-- Those of the command; those that answer the message itself have its id in their content, and the first has a name
-- (`reply`) that is known beforehand.
SELECT txn_id, type, edits, approval, state, urgency, put_at, not_before, claims, faults, variant, event_id, ended_at,
       why, content
FROM outbox
WHERE command = :command OR txn_id = :reply
   OR (room_id = :room AND command IS NULL
       AND :id IN (json_extract(content, '$."m.relates_to"."m.in_reply_to".event_id'),
                   json_extract(content, '$."m.relates_to".event_id')))
ORDER BY position;

-- name: before
-- What has to be routed in the room before it, and what has to leave before its oldest parcel.
SELECT (SELECT count(*) FROM inbox
        WHERE room_id = :room AND routed_at IS NULL AND kind <> 'sealed' AND position < :position) AS unrouted,
       (SELECT count(*) FROM outbox WHERE room_id = :room AND state IN ('waiting', 'claimed') AND urgency > 0
          AND position < (SELECT min(position) FROM outbox
                          WHERE command = :command AND state IN ('waiting', 'claimed'))) AS unsent;

-- name: room
-- What the room is called, and whether we have left it.
SELECT slug, left_at FROM rooms WHERE room_id = :room;

-- name: grants
-- As in grants.sql.
SELECT user_id, role, given_by, given_at, until FROM grants WHERE room_id = :room AND (until IS NULL OR until > :now);

-- name: daemon
-- The last moment at which it was known to live, and the first of which messages are still kept.
SELECT (SELECT alive_at FROM daemon WHERE id = 1) AS alive_at,
       (SELECT taken_at FROM inbox WHERE position = (SELECT min(position) FROM inbox)) AS first_at;
