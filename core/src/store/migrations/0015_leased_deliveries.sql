-- Leases of messages that a reorg may make due again, which a start ends.
CREATE INDEX deliveries_leased ON deliveries (message_id) WHERE state IN ('cancelled', 'expired') AND lease_until_ms > 0;
