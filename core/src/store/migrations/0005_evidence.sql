-- The evidence log (docs/EVIDENCE.md). Writer: the indexer. It does not come from the tables above alone: it stays when
-- these are rebuilt from the chain.

-- `fields` is the encoding that is hashed (core/src/evidence). Nothing is ever changed or deleted here.
CREATE TABLE evidence (
    idx          INTEGER PRIMARY KEY,
    fields       BLOB    NOT NULL,
    commitment   BLOB    CHECK (length(commitment) = 32),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    -- where a step's log stands on the final chain, so that none is written twice; NULL for a key
    block_number INTEGER,
    log_index    INTEGER,
    CHECK ((block_number IS NULL) = (log_index IS NULL)),
    UNIQUE (block_number, log_index)
) STRICT;

-- What we attest of an entry, as its commitment has it: personal data, deleted on schedule and with the account.
CREATE TABLE evidence_attested (
    idx             INTEGER PRIMARY KEY REFERENCES evidence (idx),
    account_id      BLOB    NOT NULL,
    salt            BLOB    NOT NULL CHECK (length(salt) = 32),
    account_tag     BLOB    NOT NULL CHECK (length(account_tag) = 32),
    requested_at_ms INTEGER NOT NULL,
    delivered_at_ms INTEGER,
    channel         TEXT    NOT NULL,
    written_at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_attested_account ON evidence_attested (account_id);

-- 32 random bytes of each account that are in its keyed hash: deleted with it, they take the hash's meaning with them.
CREATE TABLE evidence_accounts (
    account_id BLOB PRIMARY KEY CHECK (length(account_id) = 16),
    salt       BLOB NOT NULL CHECK (length(salt) = 32)
) STRICT, WITHOUT ROWID;

-- Entries whose opening was deleted here and is not yet taken out of the exported files.
CREATE TABLE evidence_erased (
    idx INTEGER PRIMARY KEY
) STRICT;

-- Signed heads, as they were signed.
CREATE TABLE evidence_heads (
    number       INTEGER PRIMARY KEY,
    previous     BLOB    NOT NULL,
    idx          INTEGER NOT NULL REFERENCES evidence (idx),
    hash         BLOB    NOT NULL,
    final_number INTEGER NOT NULL,
    final_hash   BLOB    NOT NULL,
    complete     INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    key          BLOB    NOT NULL,
    signature    BLOB    NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE INDEX evidence_heads_idx ON evidence_heads (idx);

-- The next head that a bucket is to be given.
CREATE TABLE evidence_uploads (
    bucket    TEXT    PRIMARY KEY,
    next_head INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose evidence is to be erased is looked for among these.
CREATE INDEX accounts_erased ON accounts (erased_at_ms) WHERE erased_at_ms IS NOT NULL;
