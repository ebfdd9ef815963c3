-- waiting ⇄ claimed → sent | given_up; a waiting edit that is not worth sending any more is superseded. Rows stay, so
-- that a parcel that comes again is known by its txn. A room's head is its oldest parcel that is waiting or claimed.

-- name: put
-- No row: this txn is known, whatever has become of it.
INSERT INTO outbox (txn_id, room_id, type, content, edits, command, approval, state, put_at)
VALUES (:txn, :room, :type, :content, :edits, :command, :approval, 'waiting', :now)
ON CONFLICT (txn_id) DO NOTHING
RETURNING txn_id;

-- name: fold_edit!
-- A message that was never offered may as well say the newest text at once. One that was offered may be in the room
-- already, and the homeserver would answer its txn with the old text: it keeps its content, and the edit follows.
UPDATE outbox SET content = :content
WHERE txn_id = :message AND state = 'waiting' AND claims = 0;

-- name: merge_edits!
-- Of the waiting edits of a message only the newest is sent, as late as the most postponed one; and not even that one
-- when `fold_edit` has put it into the message.
UPDATE outbox
SET state = CASE
        WHEN EXISTS (SELECT 1 FROM outbox WHERE txn_id = :message AND state = 'waiting' AND claims = 0)
            THEN 'superseded'
        WHEN position = (SELECT max(position) FROM outbox WHERE edits = :message AND state = 'waiting')
            THEN 'waiting'
        ELSE 'superseded'
    END,
    not_before = (SELECT max(not_before) FROM outbox WHERE edits = :message AND state = 'waiting')
WHERE edits = :message AND state = 'waiting';

-- name: claim
-- Only the head of a room is offered, and not while it is claimed; among the rooms the oldest head goes first.
UPDATE outbox SET state = 'claimed', claims = claims + 1
WHERE position = (
    SELECT position FROM outbox
    WHERE position IN (SELECT min(position) FROM outbox WHERE state IN ('waiting', 'claimed') GROUP BY room_id)
      AND state = 'waiting' AND not_before <= :now
    ORDER BY position LIMIT 1)
RETURNING *;

-- name: next_due
-- Of the heads alone: what is behind a head waits for it anyway.
SELECT min(not_before) AS due FROM outbox
WHERE position IN (SELECT min(position) FROM outbox WHERE state IN ('waiting', 'claimed') GROUP BY room_id)
  AND state = 'waiting' AND not_before > 0;

-- name: sent!
-- The first answer stands.
UPDATE outbox SET state = 'sent', event_id = :event, ended_at = :now
WHERE txn_id = :txn AND state IN ('waiting', 'claimed');

-- name: postpone
-- Back to its place at the head of the room.
UPDATE outbox SET state = 'waiting', not_before = :until
WHERE txn_id = :txn AND state = 'claimed'
RETURNING edits;

-- name: give_up!
-- What was sent stays sent.
UPDATE outbox SET state = 'given_up', why = :why, ended_at = :now
WHERE txn_id = :txn AND state IN ('waiting', 'claimed');

-- name: release_claims!
-- An edit that was overtaken while it was on its way is not offered again.
UPDATE outbox
SET state = iif(EXISTS (SELECT 1 FROM outbox AS newer WHERE newer.edits = outbox.edits AND newer.state = 'waiting'),
                'superseded', 'waiting')
WHERE state IN ('waiting', 'claimed') AND state = 'claimed';

-- name: event_of
-- NULL until it is sent. A message that was given up is, from then on, the first edit that was sent in its place.
SELECT coalesce(event_id, (
    SELECT first.event_id FROM outbox AS first
    WHERE outbox.state = 'given_up' AND first.edits = outbox.txn_id AND first.state = 'sent'
    ORDER BY first.position LIMIT 1)) AS event_id
FROM outbox WHERE txn_id = :txn;

-- name: parcel_of
-- An event is one parcel's.
SELECT * FROM outbox WHERE event_id = :event;

-- name: unsent
-- Those on their way among them.
SELECT count(*) AS count FROM outbox WHERE state IN ('waiting', 'claimed');
