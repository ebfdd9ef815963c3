-- Who follows what is said hears of edits, too. Their places come from the numbers that positions come from: so an edit
-- stands behind everything that was there before it, and before everything that comes. Of several, the last one counts.

ALTER TABLE history ADD COLUMN edit_place INTEGER;  -- of its last edit; NULL: it was not edited, or before there were such
CREATE INDEX history_edits_by_place ON history (edit_place) WHERE edit_place IS NOT NULL;
