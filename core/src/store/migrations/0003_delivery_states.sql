-- Delivery states that a person and an operator can tell apart, what the provider calls a message and says of it, and
-- whether a request may fall back on another channel.

CREATE TABLE deliveries_0003 (
    message_id         TEXT    PRIMARY KEY,
    request_id         BLOB    REFERENCES requests (id),
    on_chain_id        BLOB,
    notice_id          BLOB    UNIQUE REFERENCES notices (id),
    contact_id         BLOB    NOT NULL,
    channel            TEXT    NOT NULL,
    -- queued: due at due_at_ms, for the first time or again. sending: claimed, until lease_until_ms. accepted: the
    -- provider has it; delivered and bounced are its later word. failed: it never will go out, and somebody has to look.
    -- cancelled: its code is off the chain, or newer words took its place.
    state              TEXT    NOT NULL DEFAULT 'queued'
                               CHECK (state IN ('queued', 'sending', 'accepted', 'delivered', 'bounced', 'failed',
                                                'expired', 'cancelled')),
    attempts           INTEGER NOT NULL DEFAULT 0,
    created_at_ms      INTEGER NOT NULL,
    due_at_ms          INTEGER NOT NULL,
    lease_until_ms     INTEGER NOT NULL DEFAULT 0,
    expires_at_ms      INTEGER NOT NULL,
    sent_at_ms         INTEGER,
    provider_id        TEXT,
    -- when the provider said what became of it
    reported_at_ms     INTEGER,
    error              TEXT,
    UNIQUE (on_chain_id, channel),
    CHECK ((notice_id IS NULL) <> (on_chain_id IS NULL))
) STRICT;

INSERT INTO deliveries_0003 (message_id, request_id, on_chain_id, notice_id, contact_id, channel, state, attempts,
                             created_at_ms, due_at_ms, lease_until_ms, expires_at_ms, sent_at_ms, error)
SELECT message_id, request_id, on_chain_id, notice_id, contact_id, channel,
       CASE state WHEN 'pending' THEN 'queued' WHEN 'sent' THEN 'accepted' WHEN 'dead' THEN 'failed' ELSE state END,
       attempts, created_at_ms, due_at_ms, lease_until_ms, expires_at_ms, sent_at_ms, error
FROM deliveries;

DROP TABLE deliveries;
ALTER TABLE deliveries_0003 RENAME TO deliveries;
CREATE INDEX deliveries_due ON deliveries (due_at_ms) WHERE state IN ('queued', 'sending');
CREATE INDEX deliveries_request ON deliveries (request_id);
CREATE INDEX deliveries_provider ON deliveries (provider_id) WHERE provider_id IS NOT NULL;

ALTER TABLE requests ADD COLUMN fallback INTEGER NOT NULL DEFAULT 0 CHECK (fallback IN (0, 1));
