-- name: distrust#
-- Nothing in the schema of a foreign file may call functions. What SQLite needs for itself stays in memory: a full disk
-- must not be in the way of a look at the tables.
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;

-- name: configure#
-- FULL: a commit is on the disk when it returns. secure_delete: what was erased is overwritten, not only forgotten.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;

-- name: version
-- The number of the newest migration that was applied; 0 for a new file.
SELECT user_version FROM pragma_user_version;

-- name: quick_check
-- One row, ok, or the first thing that is wrong.
SELECT quick_check AS problem FROM pragma_quick_check(1);

-- name: integrity_check
-- One row, ok, or some of what is wrong; this reads the indexes, too.
SELECT integrity_check AS problem FROM pragma_integrity_check(10);

-- name: notice#
-- See doubt.py. It lives in memory, and takes part in every transaction.
CREATE TEMP TABLE doubt (attempt INTEGER NOT NULL) STRICT;
INSERT INTO doubt VALUES (0);

-- name: watches
-- The triggers that note the attempt: attempt() is ours. A virtual table can have none, nor what it is made of; it
-- changes with a table that has some.
SELECT printf('CREATE TEMP TRIGGER watch_%s_%s AFTER %s ON main.%s BEGIN UPDATE doubt SET attempt = attempt(); END;',
              change.column1, tables.name, change.column1, tables.name) AS watch
FROM main.sqlite_schema AS tables, (VALUES ('insert'), ('update'), ('delete')) AS change
WHERE tables.type = 'table' AND tables.name NOT GLOB 'sqlite_*' AND tables.name NOT GLOB 'history_words*';

-- name: noticed
-- One row: the last attempt that changed something and took.
SELECT attempt FROM doubt;

-- name: checkpoint!
-- What is in the log goes into the file, and the log becomes empty: unless somebody else reads, then busy is 1.
PRAGMA wal_checkpoint(TRUNCATE);

-- name: vacuum!
-- Needs as much free space again as the file has.
VACUUM;

-- name: one_file#
-- Of a copy: nothing is beside it.
PRAGMA journal_mode = DELETE;
