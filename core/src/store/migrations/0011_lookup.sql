-- What a search begins with. Issued codes are found by their batch, so their many rows are in neither index.
CREATE INDEX events_transaction ON events (tx_hash) WHERE kind <> 'otp-set';
CREATE INDEX events_first ON events (first) WHERE kind = 'otp-batch-set';
-- Governance's events, few among many.
CREATE INDEX events_governance ON events (block_number, log_index)
    WHERE canonical = 1 AND kind IN ('policy-set', 'role-granted', 'role-revoked', 'paused', 'unpaused', 'upgraded');
