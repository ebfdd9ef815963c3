-- What a turn may take when somebody has said so with /timeout: seconds in all. NULL: as the room's settings say.

ALTER TABLE commands ADD COLUMN time_limit INTEGER;
