-- The event itself, so that a statement about one code can ask for its landing without making all of them.
DROP VIEW landings;
CREATE VIEW landings AS
    SELECT i.request_id, e.on_chain_id, e.issuer, e.purpose, e.serial, e.expiry, e.block_number, e.block_hash, e.tx_hash,
           e.timestamp, e.rowid AS event
    FROM events e
    JOIN issuances i ON i.on_chain_id = e.on_chain_id AND i.serial = e.serial
    JOIN batches b ON b.id = i.batch_id AND b.issuer = e.issuer AND b.purpose = e.purpose
    WHERE e.kind = 'otp-set' AND e.canonical = 1;
