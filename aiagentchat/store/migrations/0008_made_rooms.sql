-- Rooms that are not in config.yaml.

CREATE TABLE made_rooms (
    room_id  TEXT PRIMARY KEY,
    folder   TEXT NOT NULL,           -- what was asked for; rooms.slug has what it got, fixed for ever
    direct   INTEGER NOT NULL,        -- 1: a direct chat, for made_by alone
    made_by  TEXT NOT NULL,
    made_at  INTEGER NOT NULL
) STRICT;

-- Those that we were invited into, or that were taken away: we are there, for a while, in case somebody makes them ours.
CREATE TABLE waiting_rooms (
    room_id     TEXT PRIMARY KEY,
    by_user     TEXT NOT NULL,
    since_at    INTEGER NOT NULL,
    until_at    INTEGER NOT NULL,     -- then we leave
    keeps       INTEGER NOT NULL      -- 1: what was said since then is run when it is made
) STRICT;
