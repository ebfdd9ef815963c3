-- name: of_user
-- No row before the first keys were made or given.
SELECT seeds, backup_key, backup_read FROM identities WHERE user_id = :user;

-- name: keep_seeds!
-- In the place of others: those of an identity that is no more.
INSERT INTO identities (user_id, seeds) VALUES (:user, :seeds)
ON CONFLICT (user_id) DO UPDATE SET seeds = excluded.seeds;

-- name: keep_backup_key!
-- Another key opens another backup.
INSERT INTO identities (user_id, backup_key) VALUES (:user, :key)
ON CONFLICT (user_id) DO UPDATE SET backup_key = excluded.backup_key, backup_read = NULL;

-- name: mark_backup_read!
-- There is a row: without the key nothing is read.
UPDATE identities SET backup_read = :state WHERE user_id = :user;
