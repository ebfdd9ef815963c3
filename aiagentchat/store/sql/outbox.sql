-- waiting ⇄ claimed → sent | given_up; what is not worth sending any more is superseded. Rows stay, so that a parcel that
-- comes again is known by its txn. What may go next is in the view outbox_heads (migrations/).

-- name: put
-- No row: this txn is known, whatever has become of it. What answers a command that was taken back is kept until it is
-- sent, and a message that was deleted is not changed. An answer goes into the thread of what it answers.
INSERT INTO outbox (
    txn_id, room_id, type, content, edits, command, approval, urgency, thread, attached, state, put_at, erase)
SELECT :txn, :room, :type, :content, :edits, :command, :approval, :urgency,
       coalesce(:thread, (SELECT thread FROM commands WHERE event_id = :command)), :attached, 'waiting', :now,
       EXISTS (SELECT 1 FROM commands WHERE event_id = :command AND text = '')
WHERE NOT EXISTS (SELECT 1 FROM outbox AS message WHERE message.txn_id = :edits AND message.erase = 2)
ON CONFLICT (txn_id) DO NOTHING
RETURNING txn_id;

-- name: attach!
-- The file of a parcel that was put just now.
INSERT INTO attachments (txn_id, data, thumbnail) VALUES (:txn, :data, :thumbnail);

-- name: attachment
-- Triggers remove it when its parcel is over.
SELECT data, thumbnail FROM attachments WHERE txn_id = :txn;

-- name: attached
-- The index of what is open first: there are few.
SELECT coalesce(sum(length(attachments.data)), 0) AS bytes
FROM outbox JOIN attachments ON attachments.txn_id = outbox.txn_id
WHERE outbox.room_id = :room AND outbox.state IN ('waiting', 'claimed');

-- name: fold_edit!
-- A message that was never offered may as well say the newest text at once. One that was offered may be in the room
-- already, and the homeserver would answer its txn with the old text: it keeps its content, and the edit follows.
UPDATE outbox SET content = :content, urgency = max(urgency, :urgency)
WHERE txn_id = :message AND state = 'waiting' AND claims = 0;

-- name: fold_waiting!
-- As fold_edit, for the edit that came while the message was on a way that led nowhere.
UPDATE outbox SET content = newest.content, urgency = max(outbox.urgency, newest.urgency)
FROM (SELECT content, urgency FROM outbox WHERE edits = :message AND state = 'waiting'
      ORDER BY position DESC LIMIT 1) AS newest
WHERE txn_id = :message AND state = 'waiting' AND claims = 0;

-- name: merge_edits!
-- Of the waiting edits of a message only the newest is sent, as late as the most postponed one and as urgent as the most
-- urgent one; and not even that one when `fold_edit` has put it into the message.
UPDATE outbox
SET state = CASE
        WHEN EXISTS (SELECT 1 FROM outbox WHERE txn_id = :message AND state = 'waiting' AND claims = 0)
            THEN 'superseded'
        WHEN position = (SELECT max(position) FROM outbox WHERE edits = :message AND state = 'waiting')
            THEN 'waiting'
        ELSE 'superseded'
    END,
    not_before = (SELECT max(not_before) FROM outbox WHERE edits = :message AND state = 'waiting'),
    urgency = (SELECT max(urgency) FROM outbox WHERE edits = :message AND state = 'waiting')
WHERE edits = :message AND state = 'waiting';

-- name: claim
-- The most urgent head first, then the one that has waited longest: since it was put or, once it was postponed, since it
-- may go again, so that each gets its turn while things go wrong. A time that is too far away was set before the clock
-- was turned back.
-- What is returned about earlier tries is what was true before this one.
UPDATE outbox
SET state = 'claimed', claims = claims + 1, tried_at = coalesce(tried_at, claimed_at),
    tried_as = iif(tried_as <> claimed_as, '*', claimed_as), claimed_at = :now, claimed_as = :device
WHERE position = (
    SELECT position FROM outbox_heads
    WHERE wanted >= :least AND (not_before <= :now OR not_before > :now + :longest)
    ORDER BY wanted DESC, max(min(put_at, :now), iif(not_before > :now, 0, not_before)), position LIMIT 1)
RETURNING *;

-- name: next_due
-- Of the heads alone: what is behind a head waits for it anyway.
SELECT min(not_before) AS due FROM outbox_heads WHERE not_before > 0;

-- name: owed
-- Rooms, not parcels: what stands before something needed goes first, but it is one answer.
SELECT count(DISTINCT room_id) AS count FROM outbox
WHERE state IN ('waiting', 'claimed') AND urgency >= :needed
  AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room_id = outbox.room_id AND rooms.left_at IS NOT NULL);

-- name: drop_spare!
-- The command has ended: that it was accepted, and its place in the queue, is no news any more.
UPDATE outbox SET state = 'superseded', ended_at = :now
WHERE command = :command AND state = 'waiting' AND urgency = 0;

-- name: sent
-- The first answer stands.
UPDATE outbox SET state = 'sent', event_id = :event, ended_at = :now
WHERE txn_id = :txn AND state IN ('waiting', 'claimed')
RETURNING txn_id;

-- name: postpone
-- Back to its place at the head of the room. An attempt that came to nothing is forgotten, if it was the first one. What
-- was nice to know about a command that has ended meanwhile is no news any more.
UPDATE outbox
SET state = iif(urgency = 0 AND EXISTS (
                    SELECT 1 FROM commands WHERE event_id = outbox.command AND ended_at > outbox.put_at),
                'superseded', 'waiting'),
    not_before = :until, faults = coalesce(:faults, faults), variant = coalesce(:variant, variant),
    claims = iif(:untaken AND tried_at IS NULL, 0, claims),
    claimed_at = iif(:untaken AND tried_at IS NULL, NULL, claimed_at),
    claimed_as = iif(:untaken AND tried_at IS NULL, NULL, claimed_as)
WHERE txn_id = :txn AND state = 'claimed'
RETURNING edits;

-- name: give_up
-- What was sent stays sent.
UPDATE outbox SET state = 'given_up', why = :why, ended_at = :now
WHERE txn_id = :txn AND state IN ('waiting', 'claimed')
RETURNING txn_id;

-- name: release_claims!
-- An edit that was overtaken while it was on its way is not offered again, nor what was nice to know about a command that
-- has ended since.
UPDATE outbox
SET state = iif(EXISTS (SELECT 1 FROM outbox AS newer WHERE newer.edits = outbox.edits AND newer.state = 'waiting')
                OR (urgency = 0 AND EXISTS (
                    SELECT 1 FROM commands WHERE event_id = outbox.command AND ended_at > outbox.put_at)),
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

-- name: sent_since
-- By this machine's clock.
SELECT count(*) AS count FROM outbox WHERE ended_at >= :moment AND state = 'sent';

-- name: shown_at
-- A question is one parcel's, the last of its pieces.
SELECT ended_at FROM outbox WHERE approval = :approval AND state = 'sent' AND type = 'm.room.message';

-- name: drop_offered_answers!
-- The question is closed: nobody needs a reaction to tap.
UPDATE outbox SET state = 'superseded', ended_at = :now
WHERE approval = :approval AND state = 'waiting' AND type = 'm.reaction' AND urgency = 0;

-- name: unsent
-- Those on their way among them.
SELECT count(*) AS count FROM outbox WHERE state IN ('waiting', 'claimed');
