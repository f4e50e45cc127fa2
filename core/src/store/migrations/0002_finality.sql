-- The last block that is final and was read twice: everything up to it is settled. NULL until one is known.
ALTER TABLE cursors ADD COLUMN final_number INTEGER;
ALTER TABLE cursors ADD COLUMN final_hash BLOB CHECK ((final_hash IS NULL) = (final_number IS NULL));
