-- Who said what became of a message. provider: it proved to be that, and its word replaces anybody's. anybody: whoever wrote
-- to the mailbox for bounces. NULL where nothing was said, or before this was kept: then it counts as anybody's.
ALTER TABLE deliveries ADD COLUMN reported_by TEXT CHECK (reported_by IN ('provider', 'anybody'));
