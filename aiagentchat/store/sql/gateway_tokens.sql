-- name: give!
INSERT INTO gateway_tokens (digest, caller, scopes, created_at, expires_at)
VALUES (:digest, :caller, :scopes, :created_at, :expires_at);

-- name: forget!
-- Those that have expired.
DELETE FROM gateway_tokens WHERE expires_at <= :now;

-- name: valid
SELECT * FROM gateway_tokens WHERE expires_at > :now ORDER BY created_at, digest;
