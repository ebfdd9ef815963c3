-- name: take_in*!
-- An event that came before, from a replayed sync or a gap that was filled twice, changes nothing.
INSERT INTO inbox (
    event_id, room_id, sender, sent_at, kind, body, target, thread, mentions, late_ms, raw, file, encrypted,
    meta, by_agent, caller, awaits, taken_at)
VALUES (:event, :room, :sender, :sent_at, :kind, :body, :target, :thread, :mentions, :late_ms, :raw, :file, :encrypted,
    :meta, :by_agent, :caller, iif(:caller IS NULL, NULL, :awaits), :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: unrouted
-- In the order of arrival within a room; rooms take turns, so that a room with a backlog does not hold up the others.
-- What a caller has sent waits until it is in its room, and holds up nobody.
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY room_id ORDER BY position) AS place
    FROM inbox WHERE routed_at IS NULL AND kind <> 'sealed' AND awaits IS NULL)
WHERE place <= :each
ORDER BY place, position LIMIT :limit;

-- name: get
-- By its id.
SELECT * FROM inbox WHERE event_id = :event;

-- name: late
-- Of what came in together, what is late and waits.
SELECT * FROM inbox
WHERE room_id = :room AND taken_at = :taken_at AND late_ms > 0 AND routed_at IS NULL
ORDER BY position;

-- name: reactions
-- Of a person on a message, in the order in which they came; one that was taken back says nothing.
SELECT body FROM inbox
WHERE target = :target AND sender = :sender AND kind = 'reaction' AND body <> '' AND NOT by_agent ORDER BY position;

-- name: mark_routed
-- No row: somebody settled it before, or it never came.
UPDATE inbox SET routed_at = :now WHERE event_id = :event AND routed_at IS NULL
RETURNING event_id, room_id, sender, kind;

-- name: keep_file!
-- It goes along with that command, or, where that is '', with the next one of its sender.
UPDATE inbox SET goes_with = :command WHERE event_id = :event AND file IS NOT NULL AND goes_with IS NULL;

-- name: take_files!
-- What waits for a command of its sender goes along with this one, unless it has waited for too long.
UPDATE inbox SET goes_with = :command
WHERE goes_with = '' AND room_id = :room AND sender = :sender AND taken_at >= :since;

-- name: files_waiting
-- Of one person in one room.
SELECT count(*) AS count FROM inbox
WHERE goes_with = '' AND room_id = :room AND sender = :sender AND taken_at >= :since AND file IS NOT NULL;

-- name: files_of
-- Those of the command, of the messages that were joined to it, and of the ones that it takes up again.
WITH RECURSIVE line (event) AS (
    SELECT :command UNION
    SELECT commands.origin FROM commands JOIN line ON commands.event_id = line.event WHERE commands.origin IS NOT NULL),
whole (event) AS (
    SELECT event FROM line UNION
    SELECT command_parts.event_id FROM command_parts JOIN line ON command_parts.command = line.event)
SELECT inbox.event_id, inbox.file FROM whole JOIN inbox ON inbox.goes_with = whole.event
WHERE inbox.file IS NOT NULL ORDER BY inbox.position;

-- name: edit_offered!
-- What has become a command is changed there, or not at all.
UPDATE inbox SET body = :text
WHERE event_id = :event AND sender = :by AND kind = 'text'
  AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id);
