-- What was said, and the words of it: whoever writes the one writes the other, in the same transaction. A row that was
-- erased stays, without a body, so that the event is known when it comes again.

-- name: last
-- Where the next row will be behind.
SELECT coalesce(max(position), 0) AS position FROM history;

-- name: say!
-- A known event changes nothing. A message of ours whose text was erased before it came back is kept without one.
INSERT INTO history (
    event_id, room_id, sender, sent_at, heard_at, kind, body, thread, reply_to, meta, by_agent)
VALUES (
    :event, :room, :sender, :sent_at, :now, :kind,
    iif(EXISTS (SELECT 1 FROM outbox WHERE txn_id = :txn AND erase > 0), '', :body),
    :thread, :reply_to, :meta, :by_agent)
ON CONFLICT (event_id) DO NOTHING;

-- name: index_new!
-- What was said just now.
INSERT INTO history_words (rowid, body) SELECT position, body FROM history WHERE position > :after;

-- name: to_edit
-- What an edit changes: a message of the same sender, unless a later edit has come before, or this one. What was erased
-- stays so.
SELECT position, EXISTS (SELECT 1 FROM outbox WHERE txn_id = :txn AND erase > 0) AS is_erased FROM history
WHERE event_id = :target AND room_id = :room AND sender = :sender AND body <> ''
  AND (edited_at IS NULL OR edited_at <= :sent_at) AND edit_event IS NOT :event;

-- name: take_place
-- The next number is that of an edit, or of a deletion: no row will have it as its position.
UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'history' RETURNING seq AS place;

-- name: edit!
-- To what it says now.
UPDATE history
SET body = :body, meta = coalesce(:meta, meta), edited_at = :sent_at, edit_event = :event, edit_place = :place
WHERE position = :position;

-- name: unindex!
-- The words of these rows, as long as the rows still have them.
INSERT INTO history_words (history_words, rowid, body)
SELECT 'delete', position, body FROM history WHERE position IN (SELECT value FROM json_each(:positions));

-- name: index_again!
-- The words that these rows have now.
INSERT INTO history_words (rowid, body)
SELECT position, body FROM history WHERE position IN (SELECT value FROM json_each(:positions));

-- name: empty!
-- What was deleted says nothing; that it was deleted has a place, as an edit has.
UPDATE history SET body = '', edit_place = :place WHERE position = :position;

-- name: taken_back
-- A message, or the edit that it reads as: what it was before is not kept.
SELECT position FROM history WHERE event_id = :event AND room_id = :room AND body <> ''
UNION SELECT position FROM history WHERE edit_event = :event AND room_id = :room AND body <> '';

-- name: erased_with
-- Messages of ours whose parcels were erased, or the parcels of their edits.
SELECT history.position FROM outbox JOIN history ON history.event_id = outbox.event_id
WHERE outbox.room_id = :room AND outbox.erase > 0 AND history.body <> ''
UNION SELECT history.position FROM outbox JOIN history ON history.edit_event = outbox.event_id
WHERE outbox.room_id = :room AND outbox.erase > 0 AND history.body <> '';

-- name: over
-- What was heard before that moment, by our clock.
SELECT position FROM history WHERE heard_at < :before ORDER BY heard_at LIMIT :most;

-- name: forget!
-- Whole rows.
DELETE FROM history WHERE position IN (SELECT value FROM json_each(:positions));

-- name: mark_erased!
-- Erased words are still in the file, in older parts of the index, until those are merged.
INSERT INTO history_erased (id, times) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET times = times + 1;

-- name: erasures
-- No row: every erased word is gone from the index.
SELECT times FROM history_erased WHERE id = 1;

-- name: all_gone!
-- Unless something was erased meanwhile.
DELETE FROM history_erased WHERE id = 1 AND times = :times;

-- name: merge!
-- A step of so many pages; with a negative number the first step of making everything one part.
INSERT INTO history_words (history_words, rank) VALUES ('merge', :pages);

-- name: rebuild!
-- Out of the rows, whatever there was.
INSERT INTO history_words (history_words) VALUES ('rebuild');

-- name: changes
-- Of the connection, ever: a step of a merge that has found something to do makes two or more.
SELECT total_changes() AS count;

-- name: latest
-- The newest first.
SELECT * FROM history WHERE room_id = :room AND position < :before AND body <> '' ORDER BY position DESC LIMIT :limit;

-- name: get
-- By its event.
SELECT * FROM history WHERE event_id = :event;

-- name: newest
-- The last place that was given out.
SELECT coalesce(max(seq), 0) AS place FROM sqlite_sequence WHERE name = 'history';

-- name: after
-- In order: what was said, and once more where it was edited last, or deleted. Each half is read along its index.
SELECT position AS place, * FROM history
WHERE position > :place AND room_id IN (SELECT value FROM json_each(:rooms)) AND body <> ''
UNION ALL
SELECT edit_place AS place, * FROM history
WHERE edit_place > :place AND room_id IN (SELECT value FROM json_each(:rooms))
ORDER BY place LIMIT :limit;

-- name: search
-- By everything but words, the newest first. NULL: any.
SELECT * FROM history
WHERE position < :before AND room_id IN (SELECT value FROM json_each(:rooms)) AND body <> ''
  AND (:sender IS NULL OR sender = :sender) AND (:thread IS NULL OR :thread IN (thread, event_id))
  AND (:kind IS NULL OR json_extract(meta, '$.kind') = :kind)
  AND sent_at >= :since AND sent_at < :until
ORDER BY position DESC LIMIT :limit;

-- name: search_words
-- As search, among those that have the words.
SELECT history.* FROM history_words JOIN history ON history.position = history_words.rowid
WHERE history_words MATCH :words AND history_words.rowid < :before
  AND history.room_id IN (SELECT value FROM json_each(:rooms)) AND history.body <> ''
  AND (:sender IS NULL OR history.sender = :sender)
  AND (:thread IS NULL OR :thread IN (history.thread, history.event_id))
  AND (:kind IS NULL OR json_extract(history.meta, '$.kind') = :kind)
  AND history.sent_at >= :since AND history.sent_at < :until
ORDER BY history_words.rowid DESC LIMIT :limit;
