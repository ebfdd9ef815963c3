-- Questions of the agent's own, plans, and what is allowed for as long as a conversation lasts.

-- Made anew, because a kind is checked: 'choice' and 'plan' are.
CREATE TABLE approvals_new (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    approval_id  TEXT NOT NULL UNIQUE,
    room_id      TEXT NOT NULL,
    command      TEXT NOT NULL,
    tool         TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'allowed', 'denied', 'expired', 'withdrawn')),
    decided_by   TEXT,
    reason       TEXT NOT NULL DEFAULT '',
    kind         TEXT NOT NULL DEFAULT 'tool' CHECK (kind IN ('tool', 'resume', 'offer', 'choice', 'plan')),
    digest       TEXT NOT NULL DEFAULT '',
    shown        TEXT NOT NULL DEFAULT '',
    events       TEXT NOT NULL DEFAULT '[]',  -- JSON array of event ids
    options      TEXT NOT NULL DEFAULT '[]',  -- JSON array of what may be chosen
    many         INTEGER NOT NULL DEFAULT 0,
    picked       TEXT,                        -- JSON array of the numbers that were chosen; NULL: nothing was
    picked_text  TEXT NOT NULL DEFAULT '',    -- what was answered in words of one's own
    session_id   TEXT,                        -- what a rule of the conversation would allow; NULL: there is none
    rule         TEXT NOT NULL DEFAULT '',    -- its digest
    rule_shown   TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO approvals_new (position, approval_id, room_id, command, tool, expires_at, state, decided_by, reason,
                           kind, digest, shown, events)
SELECT position, approval_id, room_id, command, tool, expires_at, state, decided_by, reason, kind, digest, shown, events
FROM approvals;
DROP TABLE approvals;
ALTER TABLE approvals_new RENAME TO approvals;
CREATE INDEX approvals_open ON approvals (room_id, position) WHERE state = 'open';
CREATE INDEX approvals_open_of_command ON approvals (command) WHERE state = 'open';
CREATE INDEX approvals_over ON approvals (expires_at) WHERE state <> 'open';
CREATE INDEX approvals_of_command ON approvals (command);
CREATE INDEX approvals_offers ON approvals (room_id) WHERE kind = 'offer';
CREATE INDEX approvals_reasons ON approvals (room_id) WHERE reason <> '' OR picked_text <> '';

CREATE TABLE session_rules (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id  TEXT NOT NULL,
    rule        TEXT NOT NULL,          -- digest of what is allowed
    room_id     TEXT NOT NULL,
    tool        TEXT NOT NULL,
    shown       TEXT NOT NULL,          -- what that is, as Markdown
    command     TEXT NOT NULL,          -- in whose turn it was asked about
    given_by    TEXT NOT NULL,
    given_at    INTEGER NOT NULL,
    uses        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (session_id, rule, given_by)
) STRICT;
CREATE INDEX session_rules_of_room ON session_rules (room_id, position);
CREATE INDEX session_rules_of_command ON session_rules (command) WHERE shown <> '';

-- What somebody has put on a message.
CREATE INDEX inbox_reactions ON inbox (target) WHERE kind = 'reaction';
