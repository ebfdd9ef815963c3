-- accepted → sent → delivered → read → answered | expired | refused: core/exchange.py. Each statement asks for what a move may
-- start from. That a message has become an event, or never will, is told in echo.py, with its parcel.

-- name: by_key
-- What the caller has sent with this key.
SELECT * FROM messages WHERE caller = :caller AND idempotency = :key;

-- name: accept!
-- Its place among the others is that of its parcel.
INSERT INTO messages (
    id, room_id, caller, idempotency, digest, kind, body, meta, to_user, txn_id, state, expires_at, accepted_at)
VALUES (:id, :room, :caller, :key, :digest, :kind, :body, :meta, :to_user, :txn, 'accepted', :expires_at, :now);

-- name: get
-- By its id.
SELECT * FROM messages WHERE id = :id;

-- name: by_event
-- By what it has become.
SELECT * FROM messages WHERE event_id = :event;

-- name: open
-- What we still have to send, and what somebody is to answer. Anything else is where it wanted to be once it is sent.
SELECT * FROM messages INDEXED BY messages_open
WHERE ended_at IS NULL AND room_id = coalesce(:room, room_id)
  AND (state = 'accepted' OR (to_user IS NOT NULL AND kind IN ('message', 'task', 'question')))
ORDER BY position;

-- name: open_of
-- The same, counted, of one caller.
SELECT count(*) FILTER (WHERE room_id = :room) AS in_room, count(*) AS everywhere FROM messages
WHERE ended_at IS NULL AND caller = :caller
  AND (state = 'accepted' OR (to_user IS NOT NULL AND kind IN ('message', 'task', 'question')));

-- name: counts
-- States without a message have no row.
SELECT state, count(*) AS count FROM messages GROUP BY state;

-- name: received
-- Their places are those of their parcels, if the receipt is on one of ours, or those of the history. What neither of the two
-- tells is not known to be before the receipt's event, and stays as it is.
WITH bound (parcel, said) AS (
    SELECT (SELECT position FROM outbox WHERE event_id = :event AND room_id = :room),
           (SELECT position FROM history WHERE event_id = :event AND room_id = :room))
UPDATE messages
SET state = :state, delivered_at = coalesce(delivered_at, :now), read_at = iif(:state = 'read', :now, read_at)
WHERE room_id = :room AND ended_at IS NULL AND event_id IS NOT NULL AND to_user = :user
  AND (state = 'sent' OR (state = 'delivered' AND :state = 'read'))
  AND EXISTS (
      SELECT 1 FROM bound, outbox AS own
      WHERE own.txn_id = messages.txn_id
        AND (:thread IS NULL OR own.thread = :thread OR own.event_id = :thread OR (:thread = 'main' AND own.thread IS NULL))
        AND (own.position <= bound.parcel
             OR (SELECT position FROM history WHERE history.event_id = own.event_id) <= bound.said))
RETURNING id;

-- name: begun
-- Whoever is to answer says so.
UPDATE messages
SET state = 'read', delivered_at = coalesce(delivered_at, :now), read_at = :now
WHERE id = :id AND state IN ('sent', 'delivered')
RETURNING *;

-- name: keep_part!
-- As it reads after its last edit, whichever comes first.
INSERT INTO message_parts (message, part, event_id, body, said_at, last)
SELECT :message, :part, :event, :body, :said_at, :last
WHERE EXISTS (SELECT 1 FROM message_parts WHERE message = :message AND part = :part)
   OR (SELECT count(*) FROM message_parts WHERE message = :message) < :most
ON CONFLICT (message, part) DO UPDATE
SET body = excluded.body, said_at = excluded.said_at, last = excluded.last WHERE excluded.said_at >= said_at;

-- name: parts
-- In their order.
SELECT event_id, body, last FROM message_parts WHERE message = :message ORDER BY part;

-- name: forget_parts!
-- The answer has them; which events they are, it has not.
UPDATE message_parts SET body = '' WHERE message = :message;

-- name: answer
-- From any state but an end; what is answered was delivered and read.
UPDATE messages
SET state = 'answered', answer = :answer, answer_event = :event, ended_at = :now,
    delivered_at = coalesce(delivered_at, :now), read_at = coalesce(read_at, :now)
WHERE id = :id AND ended_at IS NULL
RETURNING *;

-- name: close
-- By us, or by the other side.
UPDATE messages SET state = :state, why = :why, ended_at = :now, answer_event = coalesce(:event, answer_event)
WHERE id = :id AND ended_at IS NULL AND :state IN ('refused', 'expired')
RETURNING *;

-- name: withdraw!
-- What was never offered to the homeserver is not in the room, and will not be.
UPDATE outbox SET state = 'given_up', why = :why, ended_at = :now WHERE txn_id = :txn AND state = 'waiting' AND claims = 0;

-- name: settle_withdrawn!
-- Nor does it begin anything here.
UPDATE inbox SET awaits = NULL, routed_at = :now
WHERE awaits = :txn AND EXISTS (SELECT 1 FROM outbox WHERE txn_id = :txn AND state = 'given_up');

-- name: own_answer
-- A parcel that says what it answers, and where people read it: an edit, in the message that it changes.
SELECT outbox.content, outbox.room_id, outbox.command, coalesce(edited.event_id, :event) AS place
FROM outbox LEFT JOIN outbox AS edited ON edited.txn_id = outbox.edits
WHERE outbox.txn_id = :txn AND instr(outbox.content, '"com.aiagentchat.meta"') > 0;

-- name: is_asked_here
-- Whether a caller has asked this daemon, or a session of it, for it; and whether it became a command.
SELECT EXISTS (SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id) AS is_command
FROM inbox WHERE event_id = :event AND caller IS NOT NULL;
