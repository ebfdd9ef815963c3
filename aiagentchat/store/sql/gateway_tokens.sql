-- name: give!
-- A login that was made just now.
INSERT INTO gateway_tokens (digest, caller, scopes, created_at, expires_at)
VALUES (:digest, :caller, :scopes, :created_at, :expires_at);

-- name: forget!
-- Those that have expired.
DELETE FROM gateway_tokens WHERE expires_at <= :now;

-- name: valid
-- Those that still open something.
SELECT * FROM gateway_tokens WHERE expires_at > :now ORDER BY created_at, digest;
