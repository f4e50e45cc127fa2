-- What an operator lists of messages that did not arrive.
CREATE INDEX deliveries_lost ON deliveries (created_at_ms) WHERE state IN ('failed', 'bounced');
