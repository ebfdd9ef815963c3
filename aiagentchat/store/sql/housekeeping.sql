-- Erasing takes the text from a row, pruning takes the row. Neither touches what something unfinished refers to: a command
-- that is queued or runs, a question that is open, a parcel that is not sent. Each statement does at most :most rows.

-- name: expire
-- Questions of our own are closed by nobody when their time is over: a late answer reads that it comes too late.
UPDATE approvals SET state = 'expired'
WHERE position IN (
    SELECT position FROM approvals WHERE state = 'open' AND kind IN ('resume', 'offer') AND expires_at < :before LIMIT :most)
RETURNING position;

-- name: erase_events
-- What was typed, and what could not be read. The messages of an open offer may still be run.
UPDATE inbox SET body = '', raw = NULL, file = NULL
WHERE position IN (
    SELECT position FROM inbox
    WHERE routed_at IS NOT NULL AND routed_at < :before AND (body <> '' OR raw IS NOT NULL OR file IS NOT NULL)
      AND event_id NOT IN (
          SELECT offered.value FROM approvals, json_each(approvals.events) AS offered WHERE approvals.state = 'open')
      AND NOT EXISTS (
          SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id AND commands.state IN ('queued', 'running'))
    ORDER BY routed_at LIMIT :most)
RETURNING position;

-- name: erase_commands
-- One that is being taken up again, or is asked about, keeps its text.
UPDATE commands SET text = ''
WHERE position IN (
    SELECT position FROM commands
    WHERE ended_at IS NOT NULL AND ended_at < :before AND text <> ''
      AND NOT EXISTS (
          SELECT 1 FROM approvals WHERE approvals.command = commands.event_id AND approvals.state = 'open')
      AND NOT EXISTS (
          SELECT 1 FROM commands AS later
          WHERE later.origin = commands.event_id AND later.state IN ('queued', 'running'))
    ORDER BY ended_at LIMIT :most)
RETURNING position;

-- name: erase_parcels
-- What was said.
UPDATE outbox SET content = '{}'
WHERE position IN (
    SELECT position FROM outbox
    WHERE state IN ('sent', 'given_up', 'superseded') AND coalesce(ended_at, put_at) < :before AND content <> '{}'
      AND NOT EXISTS (
          SELECT 1 FROM outbox AS later WHERE later.edits = outbox.txn_id AND later.state IN ('waiting', 'claimed'))
      AND NOT EXISTS (
          SELECT 1 FROM commands WHERE commands.event_id = outbox.command AND commands.state IN ('queued', 'running'))
      AND NOT EXISTS (
          SELECT 1 FROM approvals WHERE approvals.approval_id = outbox.approval AND approvals.state = 'open')
    ORDER BY coalesce(ended_at, put_at) LIMIT :most)
RETURNING position;

-- name: erase_approvals
-- What was shown, and the reason that was given. When it was decided is not known: not later than it would have expired.
UPDATE approvals SET shown = '', reason = '', options = '[]', picked_text = '', rule_shown = ''
WHERE position IN (
    SELECT position FROM approvals
    WHERE state <> 'open' AND expires_at < :before AND (shown <> '' OR reason <> '' OR options <> '[]' OR picked_text <> ''
                                                        OR rule_shown <> '')
    LIMIT :most)
RETURNING position;

-- name: erase_changes
-- What a turn changed, line by line.
UPDATE changes SET patch = ''
WHERE rowid IN (SELECT rowid FROM changes WHERE made_at < :before AND patch <> '' LIMIT :most)
RETURNING room_id;

-- name: erase_messages
-- What we have sent for others, and what was answered.
UPDATE messages SET body = '', answer = '', why = ''
WHERE position IN (
    SELECT position FROM messages
    WHERE accepted_at < :before AND state <> 'accepted' AND (body <> '' OR answer <> '' OR why <> '')
    ORDER BY accepted_at LIMIT :most)
RETURNING position;

-- name: prune_messages
-- Whatever became of them; not those that are still to be sent.
DELETE FROM messages
WHERE position IN (
    SELECT position FROM messages WHERE accepted_at < :before AND state <> 'accepted' ORDER BY accepted_at LIMIT :most)
RETURNING position;

-- name: erase_tasks
-- What a task was about. One that is open keeps it.
UPDATE tasks SET title = '', note = ''
WHERE position IN (
    SELECT position FROM tasks
    WHERE changed_at < :before AND (title <> '' OR note <> '')
      AND (state NOT IN ('assigned', 'accepted', 'working') OR ours = 'watched') LIMIT :most)
RETURNING position;

-- name: prune_tasks
-- Those that have ended, and those of others, of which nothing was heard for so long.
DELETE FROM tasks
WHERE position IN (
    SELECT position FROM tasks
    WHERE changed_at < :before AND (state NOT IN ('assigned', 'accepted', 'working') OR ours = 'watched') LIMIT :most)
RETURNING position;

-- name: prune_changes
-- What nobody can look at any more.
DELETE FROM changes
WHERE rowid IN (SELECT rowid FROM changes WHERE made_at < :before LIMIT :most)
RETURNING room_id;

-- name: prune_approvals
-- Those that are closed.
DELETE FROM approvals
WHERE position IN (SELECT position FROM approvals WHERE state <> 'open' AND expires_at < :before LIMIT :most)
RETURNING position;

-- name: prune_parcels
-- A message stays as long as an edit of it may come: while its turn goes on, and while one waits.
DELETE FROM outbox
WHERE position IN (
    SELECT position FROM outbox
    WHERE state IN ('sent', 'given_up', 'superseded') AND coalesce(ended_at, put_at) < :before
      AND NOT EXISTS (
          SELECT 1 FROM outbox AS later WHERE later.edits = outbox.txn_id AND later.state IN ('waiting', 'claimed'))
      AND NOT EXISTS (
          SELECT 1 FROM commands WHERE commands.event_id = outbox.command AND commands.state IN ('queued', 'running'))
      AND NOT EXISTS (
          SELECT 1 FROM approvals WHERE approvals.approval_id = outbox.approval AND approvals.state = 'open')
    ORDER BY coalesce(ended_at, put_at) LIMIT :most)
RETURNING position;

-- name: prune_commands
-- Those that have ended, the oldest first: what took one up again never goes before it.
DELETE FROM commands
WHERE position IN (
    SELECT position FROM commands
    WHERE ended_at IS NOT NULL AND ended_at < :before
      AND NOT EXISTS (
          SELECT 1 FROM approvals WHERE approvals.command = commands.event_id AND approvals.state = 'open')
      AND NOT EXISTS (
          SELECT 1 FROM commands AS later
          WHERE later.origin = commands.event_id AND later.state IN ('queued', 'running'))
      AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.command = commands.event_id AND outbox.state = 'waiting')
    ORDER BY ended_at LIMIT :most)
RETURNING position;

-- name: prune_events
-- Those that were routed. One that comes once more after that is taken for a new one: retention is longer than that.
DELETE FROM inbox
WHERE position IN (
    SELECT position FROM inbox
    WHERE routed_at IS NOT NULL AND routed_at < :before
      AND event_id NOT IN (
          SELECT offered.value FROM approvals, json_each(approvals.events) AS offered WHERE approvals.state = 'open')
      AND NOT EXISTS (
          SELECT 1 FROM commands WHERE commands.event_id = inbox.event_id AND commands.state IN ('queued', 'running'))
    ORDER BY routed_at LIMIT :most)
RETURNING position;

-- name: prune_sessions
-- Not the one that a room is in, nor one that a command that is kept belongs to.
DELETE FROM sessions
WHERE session_id IN (
    SELECT session_id FROM sessions
    WHERE used_at < :before
      AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.session_id = sessions.session_id)
      AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.session_id = sessions.session_id)
    LIMIT :most)
RETURNING session_id;

-- name: prune_threads
-- A thread that is taken up again after that is a new one.
DELETE FROM threads
WHERE (room_id, thread) IN (
    SELECT room_id, thread FROM threads
    WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.session_id = threads.session_id)
      AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.session_id = threads.session_id)
    LIMIT :most)
RETURNING thread;

-- name: prune_spending
-- Counted by days.
DELETE FROM spending
WHERE rowid IN (SELECT rowid FROM spending WHERE day < date(:before / 1000, 'unixepoch') LIMIT :most)
RETURNING day;

-- name: prune_agent_turns
-- Those that no budget counts any more.
DELETE FROM agent_turns
WHERE rowid IN (SELECT rowid FROM agent_turns WHERE at < :before LIMIT :most)
RETURNING event_id;

-- name: prune_refusals
-- Counted by days.
DELETE FROM refusals
WHERE rowid IN (SELECT rowid FROM refusals WHERE day < date(:before / 1000, 'unixepoch') LIMIT :most)
RETURNING day;

-- name: prune_grants
-- Those that have ended by themselves.
DELETE FROM grants
WHERE rowid IN (SELECT rowid FROM grants WHERE until < :before LIMIT :most)
RETURNING user_id;

-- name: prune_rules
-- Of conversations that no room is in and no command that is kept belongs to.
DELETE FROM session_rules
WHERE position IN (
    SELECT position FROM session_rules
    WHERE given_at < :before
      AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.session_id = session_rules.session_id)
      AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.session_id = session_rules.session_id)
      AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.session_id = session_rules.session_id)
    LIMIT :most)
RETURNING position;
