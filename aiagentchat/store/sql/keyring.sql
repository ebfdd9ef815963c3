-- name: device_key
-- No row: the device never had keys.
SELECT ed25519 FROM device_keys WHERE user_id = :user AND device_id = :device;

-- name: keep_device_key!
-- A device has one for ever.
INSERT INTO device_keys (user_id, device_id, ed25519) VALUES (:user, :device, :ed25519) ON CONFLICT DO NOTHING;

-- name: encrypted_rooms
-- All that ever were.
SELECT room_id FROM rooms WHERE encrypted_at IS NOT NULL;

-- name: mark_encrypted!
-- The first time stands.
INSERT INTO rooms (room_id, encrypted_at) VALUES (:room, :now)
ON CONFLICT (room_id) DO UPDATE SET encrypted_at = coalesce(encrypted_at, excluded.encrypted_at);
