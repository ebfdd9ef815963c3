-- name: make_installation!
-- The first call makes it; the id is never changed.
INSERT INTO daemon (id, installation, alive_at) VALUES (1, :installation, :now) ON CONFLICT (id) DO NOTHING;

-- name: installation
-- Made before.
SELECT installation FROM daemon WHERE id = 1;

-- name: alive!
-- Where there is no installation yet, nobody has lived.
UPDATE daemon SET alive_at = :now WHERE id = 1;

-- name: alive_at
-- No row before the first life.
SELECT alive_at FROM daemon WHERE id = 1;
