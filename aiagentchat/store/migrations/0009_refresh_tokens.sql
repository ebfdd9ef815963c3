-- A login that wears off, and what it is renewed with.

ALTER TABLE accounts ADD COLUMN refresh_token TEXT;  -- sealed, as the access token; NULL: the homeserver gave none
ALTER TABLE accounts ADD COLUMN renew_at INTEGER;    -- shortly before the access token wears off; NULL: it does not
