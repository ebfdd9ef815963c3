-- name: begun
-- A row means that the agent has seen it.
SELECT 1 FROM sessions WHERE session_id = :session;

-- name: mark_begun!
-- The first time stands.
INSERT INTO sessions (session_id, begun_at) VALUES (:session, :now) ON CONFLICT (session_id) DO NOTHING;
