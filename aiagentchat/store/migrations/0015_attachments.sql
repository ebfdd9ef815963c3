-- The files of parcels. They are large, so they have pages of their own: whoever looks at the outbox reads none of them.

CREATE TABLE attachments (
    txn_id     TEXT PRIMARY KEY,
    data       BLOB NOT NULL,
    thumbnail  BLOB
) STRICT;

ALTER TABLE outbox ADD COLUMN attached INTEGER NOT NULL DEFAULT 0;  -- 1: it was put with a file

-- A file is kept for as long as it may have to be sent (again).
CREATE TRIGGER outbox_attachment_is_over AFTER UPDATE OF state ON outbox
WHEN new.attached AND new.state IN ('sent', 'given_up', 'superseded')
BEGIN DELETE FROM attachments WHERE txn_id = new.txn_id; END;
CREATE TRIGGER outbox_attachment_goes_along AFTER DELETE ON outbox WHEN old.attached
BEGIN DELETE FROM attachments WHERE txn_id = old.txn_id; END;
