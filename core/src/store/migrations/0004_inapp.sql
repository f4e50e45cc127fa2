-- Writer: the indexer. Messages sealed to the key of an in-app contact (core/src/inapp.rs), until they are too old to be
-- fetched. `number` is the cursor of whoever fetches: it only rises, and no number comes twice.
CREATE TABLE inapp_messages (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id    TEXT    NOT NULL UNIQUE,
    contact_id    BLOB    NOT NULL REFERENCES contacts (id),
    enc           BLOB    NOT NULL CHECK (length(enc) = 32),
    ciphertext    BLOB    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    keep_until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX inapp_messages_contact ON inapp_messages (contact_id, number);
CREATE INDEX inapp_messages_keep ON inapp_messages (keep_until_ms);
