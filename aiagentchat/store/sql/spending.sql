-- name: add!
-- What a command used that has just ended, on the day on which it did.
INSERT INTO spending (room_id, session_id, day, turns, cost_micro_usd, input_tokens, output_tokens)
SELECT room_id, session_id, date(ended_at / 1000, 'unixepoch'), 1, cost_micro_usd, input_tokens, output_tokens
FROM commands WHERE event_id = :event
ON CONFLICT (room_id, day, session_id) DO UPDATE
SET turns = turns + excluded.turns, cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd,
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens;

-- name: of_session
-- One row, of zeros for a session without turns.
SELECT coalesce(sum(turns), 0) AS turns, coalesce(sum(cost_micro_usd), 0) AS cost_micro_usd,
       coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
FROM spending WHERE session_id = :session;

-- name: of_room
-- As of_session, from a day on.
SELECT coalesce(sum(turns), 0) AS turns, coalesce(sum(cost_micro_usd), 0) AS cost_micro_usd,
       coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
FROM spending WHERE room_id = :room AND day >= :since;

-- name: of_all
-- Each room that has spent anything, or had a turn, since that day; what cost most comes first.
SELECT room_id, sum(turns) AS turns, sum(cost_micro_usd) AS cost_micro_usd, sum(input_tokens) AS input_tokens,
       sum(output_tokens) AS output_tokens
FROM spending WHERE day >= :since GROUP BY room_id ORDER BY sum(cost_micro_usd) DESC, room_id;
