-- Roles that admins gave in rooms, beside what config.yaml says. Nobody is made an admin by one.

CREATE TABLE grants (
    room_id   TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('viewer', 'user')),
    given_by  TEXT NOT NULL,
    given_at  INTEGER NOT NULL,
    until     INTEGER,                  -- NULL: until it is taken back
    PRIMARY KEY (room_id, user_id)
) STRICT;
CREATE INDEX grants_ended ON grants (until) WHERE until IS NOT NULL;
