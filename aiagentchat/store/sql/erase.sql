-- What a message that was taken back has left anywhere. :event is the message, :text what it said as JSON has it (NULL:
-- not known), `line` the commands that its text has become: itself, and those that took it up again.

-- name: event!
-- A message of another room is not the redaction's business.
UPDATE inbox SET body = '', raw = NULL, file = NULL WHERE event_id = :event AND room_id = :room;

-- name: edits!
-- What it was changed to.
UPDATE inbox SET body = '' WHERE target = :event AND kind = 'edit' AND room_id = :room;

-- name: sent!
-- What was sent for somebody outside of the room, and the answer to it.
UPDATE messages SET body = '', answer = '' WHERE event_id = :event AND room_id = :room;

-- name: answer_to_sent!
-- What was answered to it: the end of that, or another part.
UPDATE messages SET answer = '', why = iif(answer_event = :event, '', why)
WHERE room_id = :room
  AND (answer_event = :event OR id IN (SELECT message FROM message_parts WHERE event_id = :event));

-- name: part_of_answer!
-- What was answered, as long as that is not whole.
UPDATE message_parts SET body = ''
WHERE body <> '' AND (event_id = :event OR instr(body, :said) > 0)
  AND message IN (SELECT id FROM messages WHERE room_id = :room);

-- name: sent_quotes!
-- What was sent, or answered, and has it to the letter.
UPDATE messages
SET body = iif(instr(body, :said) > 0, '', body), answer = iif(instr(answer, :said) > 0, '', answer),
    why = iif(instr(why, :said) > 0, '', why)
WHERE room_id = :room AND (instr(body, :said) > 0 OR instr(answer, :said) > 0 OR instr(why, :said) > 0);

-- name: said
-- What it reads, as far as that is known. NULL: it is not.
SELECT coalesce((SELECT nullif(body, '') FROM inbox WHERE event_id = :event AND room_id = :room),
                (SELECT nullif(body, '') FROM history WHERE event_id = :event AND room_id = :room)) AS body;

-- name: task!
-- What its thread begins with.
UPDATE tasks SET title = '', note = '' WHERE thread = :event AND room_id = :room;

-- name: malformed!
-- What could not be read and speaks of it: perhaps a change of it.
UPDATE inbox SET raw = NULL WHERE room_id = :room AND raw IS NOT NULL AND instr(raw, :event) > 0;

-- name: commands
-- One that runs has its text in memory. One that waits is not run.
-- :kept is one of which something is left, and '' for none.
WITH RECURSIVE line (event) AS (
    SELECT :event UNION SELECT commands.event_id FROM commands JOIN line ON commands.origin = line.event)
UPDATE commands
SET text = '', taken_back = 1, stop_by = iif(state = 'queued', :by, stop_by), ended_at = iif(state = 'queued', :now, ended_at),
    state = iif(state = 'queued', 'cancelled', state)
WHERE event_id IN (SELECT event FROM line) AND event_id <> :kept AND room_id = :room
RETURNING event_id;

-- name: part
-- It may have been joined to others, as one command.
UPDATE command_parts SET text = ''
WHERE event_id = :event
  AND EXISTS (SELECT 1 FROM commands WHERE commands.event_id = command_parts.command AND commands.room_id = :room)
RETURNING command;

-- name: questions!
-- What was asked in its turn; nobody goes on with it.
UPDATE approvals
SET shown = '', reason = '', options = '[]', picked_text = '', rule_shown = '', state = iif(state = 'open' AND kind = 'resume', 'withdrawn', state)
WHERE command = :command AND room_id = :room AND kind <> 'offer';

-- name: rules!
-- What was allowed in its turn for the whole conversation stays allowed, and does not say any more what it is.
UPDATE session_rules SET shown = '' WHERE command = :command AND room_id = :room AND shown <> '';

-- name: reasons!
-- It may have been the answer to a question, with a reason or in words of one's own.
UPDATE approvals
SET reason = iif(instr(:said, reason) > 0, '', reason),
    picked_text = iif(instr(:said, picked_text) > 0, '', picked_text)
WHERE room_id = :room AND (reason <> '' OR picked_text <> '');

-- name: parcels_of_command!
-- What was, or is to be, said in its turn.
UPDATE outbox SET erase = max(erase, 1), content = iif(state IN ('waiting', 'claimed'), content, '{}')
WHERE command = :command AND room_id = :room;

-- name: patch_of_command!
-- What it changed, line by line.
UPDATE changes SET patch = '' WHERE command = :command AND room_id = :room;

-- name: offers!
-- Messages that were offered are quoted in the question.
UPDATE outbox SET erase = max(erase, 1), content = iif(state IN ('waiting', 'claimed'), content, '{}')
WHERE room_id = :room AND approval IN (
    SELECT approval_id FROM approvals
    WHERE room_id = :room AND kind = 'offer'
      AND EXISTS (SELECT 1 FROM json_each(approvals.events) AS offered WHERE offered.value = :event));

-- name: quotes!
-- What answers it, and what quotes it to the letter, or its :beginning (NULL: it is quoted whole).
UPDATE outbox SET erase = max(erase, 1), content = iif(state IN ('waiting', 'claimed'), content, '{}')
WHERE room_id = :room AND content <> '{}' AND (instr(content, :event) > 0 OR instr(content, :text) > 0 OR instr(content, :beginning) > 0);

-- name: tasks!
-- What gave a task, or its last news.
UPDATE tasks
SET title = iif(thread = :event, '', title),
    note = iif(note <> '' AND instr(:said, rtrim(note, '…')) > 0, '', note)
WHERE room_id = :room AND (thread = :event OR note <> '');

-- name: ours
-- A message of our own: it is not changed any more.
UPDATE outbox SET erase = 2, content = '{}' WHERE event_id = :event AND room_id = :room RETURNING txn_id;

-- name: edits_of_ours!
-- What it was, or was to be, changed to.
UPDATE outbox
SET erase = 2, content = iif(state = 'claimed', content, '{}'), ended_at = iif(state = 'waiting', :now, ended_at),
    state = iif(state = 'waiting', 'superseded', state)
WHERE edits = :message;

-- name: unsent_of_answer!
-- What nobody has read is not said: what was never offered to the homeserver cannot be in the room.
UPDATE outbox SET state = 'superseded', ended_at = :now, erase = 1, content = '{}'
WHERE command = :command AND state = 'waiting' AND type = 'm.room.message' AND claims = 0;

-- name: said_in_answer
-- Messages and their edits, as far as they are in the room or may be.
SELECT txn_id, room_id, edits IS NOT NULL AS is_edit FROM outbox
WHERE command = :command AND type = 'm.room.message' AND state IN ('sent', 'claimed', 'waiting') ORDER BY position;

-- name: deleted!
-- They are not changed any more, nor looked for.
UPDATE outbox SET erase = 2 WHERE command = :command AND type = 'm.room.message';

-- name: edits_of
-- As said_in_answer, of one message.
SELECT edit.txn_id, edit.room_id, edit.command FROM outbox AS message JOIN outbox AS edit ON edit.edits = message.txn_id
WHERE message.event_id = :event AND message.room_id = :room AND edit.state IN ('sent', 'claimed', 'waiting')
ORDER BY edit.position;
