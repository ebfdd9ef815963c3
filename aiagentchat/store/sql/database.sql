-- name: configure#
-- FULL: a commit is on the disk when it returns. Nothing in the schema of a foreign file may call functions.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;

-- name: version
-- The number of the newest migration that was applied; 0 for a new file.
SELECT user_version FROM pragma_user_version;
