-- name: login
-- No row before the first login.
SELECT * FROM accounts WHERE user_id = :user;

-- name: save_login!
-- The newest login is the one that works, and both of its tokens go together.
INSERT INTO accounts (user_id, device_id, access_token, refresh_token, renew_at)
VALUES (:user, :device, :access_token, :refresh_token, :renew_at)
ON CONFLICT (user_id) DO UPDATE SET
    device_id = excluded.device_id,
    access_token = excluded.access_token,
    refresh_token = excluded.refresh_token,
    renew_at = excluded.renew_at;

-- name: logins
-- All of them: one from an earlier version has kept its token as it is.
SELECT user_id, device_id, access_token FROM accounts;
