-- What turns used, by day (UTC, that on which they ended): kept longer than the commands, which are pruned before a month
-- can be over. What was there before is counted.

CREATE TABLE spending (
    room_id         TEXT NOT NULL,
    session_id      TEXT NOT NULL,
    day             TEXT NOT NULL,              -- YYYY-MM-DD
    turns           INTEGER NOT NULL,
    cost_micro_usd  INTEGER NOT NULL,
    input_tokens    INTEGER NOT NULL,
    output_tokens   INTEGER NOT NULL,
    PRIMARY KEY (room_id, day, session_id)
) STRICT;
CREATE INDEX spending_of_day ON spending (day);
CREATE INDEX spending_of_session ON spending (session_id);

INSERT INTO spending
SELECT room_id, session_id, date(ended_at / 1000, 'unixepoch'), count(*), sum(cost_micro_usd), sum(input_tokens),
       sum(output_tokens)
FROM commands WHERE started_at IS NOT NULL AND ended_at IS NOT NULL GROUP BY 1, 2, 3;

-- What the last turn of a room that changed files changed: one row per room.
CREATE TABLE changes (
    room_id  TEXT PRIMARY KEY,
    command  TEXT NOT NULL,
    made_at  INTEGER NOT NULL,
    files    INTEGER NOT NULL,
    added    INTEGER NOT NULL,                  -- lines
    removed  INTEGER NOT NULL,
    patch    TEXT NOT NULL,                     -- '' when it is not kept any more
    cut      INTEGER NOT NULL                   -- 1: the patch is longer than what is kept
) STRICT;
CREATE INDEX changes_made ON changes (made_at);
