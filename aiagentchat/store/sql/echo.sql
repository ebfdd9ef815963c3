-- What waits for a parcel of ours to become an event: see echo.py.

-- name: offer
-- What we have sent to ourselves is an event now, and may be routed.
UPDATE OR IGNORE inbox SET event_id = :event, awaits = NULL WHERE awaits = :txn RETURNING event_id;

-- name: message_sent!
-- What a receipt may have told before stays.
UPDATE OR IGNORE messages
SET event_id = :event, sent_at = :now, state = iif(state = 'accepted', 'sent', state)
WHERE txn_id = :txn AND event_id IS NULL;

-- name: settle
-- It will never be an event: nothing follows from it.
UPDATE inbox SET awaits = NULL, routed_at = :now WHERE awaits = :txn RETURNING event_id;

-- name: message_refused!
-- Unless it has ended otherwise.
UPDATE messages SET state = 'refused', why = :why, ended_at = :now
WHERE txn_id = :txn AND event_id IS NULL AND ended_at IS NULL;
