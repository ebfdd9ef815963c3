-- name: read
-- No row before the first sync.
SELECT token FROM sync_token WHERE id = 1;

-- name: keep!
-- An unchanged token writes nothing, so an idle sync costs no fsync.
INSERT INTO sync_token (id, token) VALUES (1, :token)
ON CONFLICT (id) DO UPDATE SET token = excluded.token WHERE token <> excluded.token;
