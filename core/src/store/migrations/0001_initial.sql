-- Conventions. Ids are 16-byte UUIDs, addresses 20 bytes, hashes 32. `*_at_ms` is Unix time in milliseconds from this
-- server's clock; `expiry`, `deadline` and `timestamp` are Unix seconds of chain time. `sealed` columns are envelopes
-- (core/src/seal). Each table has one writer: the relayer owns the first half, the indexer the second.

-- ---- relayer: keys and people -------------------------------------------------------------------------------------

CREATE TABLE data_keys (
    version       INTEGER PRIMARY KEY,
    wrapped       BLOB    NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- How far a sealed column has come towards a data key: everything up to the id in `after` stands under it.
CREATE TABLE resealing (
    version        INTEGER NOT NULL REFERENCES data_keys (version),
    place          TEXT    NOT NULL,
    after          BLOB    NOT NULL DEFAULT x'',
    resealed       INTEGER NOT NULL DEFAULT 0,
    unopened       INTEGER NOT NULL DEFAULT 0,
    finished_at_ms INTEGER,
    PRIMARY KEY (version, place)
) STRICT;

-- Token buckets (store/buckets.rs). A row says when its bucket will be full again, and then says nothing more: such rows
-- are pruned. Keys are keyed hashes.
CREATE TABLE buckets (
    scope      TEXT    NOT NULL,
    key        BLOB    NOT NULL CHECK (length(key) = 16),
    full_at_us INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

-- What is switched off: a row is a switch that is off. `all`, `purpose` or `channel`.
CREATE TABLE switched_off (
    scope    TEXT    NOT NULL CHECK (scope IN ('all', 'purpose', 'channel')),
    name     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Wallets that get no codes, and issuers whose key issues none.
CREATE TABLE blocked (
    kind     TEXT    NOT NULL CHECK (kind IN ('wallet', 'issuer')),
    address  BLOB    NOT NULL CHECK (length(address) = 20),
    reason   TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id            BLOB    PRIMARY KEY CHECK (length(id) = 16),
    wallet        BLOB    NOT NULL CHECK (length(wallet) = 20),
    seed_sealed   BLOB    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    -- wrong digits in a row, over all requests and contacts; at a hundred the account evaluates no more
    wrong_in_row  INTEGER NOT NULL DEFAULT 0,
    -- closed: nobody signs in to it and nothing new is asked for; erased: wallet and sealed values are zeroed as well
    closed_at_ms  INTEGER,
    erased_at_ms  INTEGER
) STRICT;
CREATE UNIQUE INDEX accounts_wallet ON accounts (wallet) WHERE closed_at_ms IS NULL;
CREATE INDEX accounts_closed ON accounts (closed_at_ms) WHERE closed_at_ms IS NOT NULL AND erased_at_ms IS NULL;

-- A nonce proves by itself that it is ours; it is stored when it is used, and kept until it would have expired.
CREATE TABLE used_nonces (
    nonce         TEXT    PRIMARY KEY,
    expires_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX used_nonces_expiry ON used_nonces (expires_at_ms);

CREATE TABLE sessions (
    id            BLOB    PRIMARY KEY CHECK (length(id) = 16),
    account_id    BLOB    NOT NULL REFERENCES accounts (id),
    domain        TEXT    NOT NULL,
    -- the data key whose sub-key signs the session's tokens
    key_version   INTEGER NOT NULL,
    -- RFC 7638 thumbprint of the device's key, where the client offered one
    device_key    BLOB    CHECK (length(device_key) = 32),
    -- keyed hashes of the program and of the network that it was last used from
    fingerprint   BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
) STRICT;
CREATE INDEX sessions_account ON sessions (account_id) WHERE ended_at_ms IS NULL;

-- Proofs of device keys that were used, as a hash of key and proof id, until nobody takes them any more.
CREATE TABLE used_proofs (
    proof         BLOB    PRIMARY KEY CHECK (length(proof) = 32),
    keep_until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX used_proofs_expiry ON used_proofs (keep_until_ms);

CREATE TABLE contacts (
    id                      BLOB    PRIMARY KEY CHECK (length(id) = 16),
    account_id              BLOB    NOT NULL REFERENCES accounts (id),
    channel                 TEXT    NOT NULL CHECK (channel IN ('email', 'sms', 'webhook', 'inapp')),
    address_sealed          BLOB    NOT NULL,
    address_tag             BLOB    NOT NULL CHECK (length(address_tag) = 32),
    created_at_ms           INTEGER NOT NULL,
    -- proved: its digits were right; allowed: a confirmed contact or the delay agreed; confirmed: both, it receives codes
    proved_at_ms            INTEGER,
    allowed_at_ms           INTEGER,
    confirmed_at_ms         INTEGER,
    removed_at_ms           INTEGER,
    -- the confirmation that runs: its digits derive from the seed, the contact's id and this counter
    challenge               INTEGER NOT NULL DEFAULT 0,
    challenge_attempts      INTEGER NOT NULL DEFAULT 0,
    challenge_expires_at_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
-- An address that is confirmed can wait a second time, so that trying an address does not tell whether it is one.
CREATE UNIQUE INDEX contacts_address ON contacts (account_id, channel, address_tag)
    WHERE removed_at_ms IS NULL AND confirmed_at_ms IS NULL;
CREATE INDEX contacts_account ON contacts (account_id);
CREATE INDEX contacts_removed ON contacts (removed_at_ms) WHERE removed_at_ms IS NOT NULL AND length(address_sealed) > 0;

-- What waits for the approval of a confirmed contact, or for its time (protocol.md §5.1).
CREATE TABLE contact_changes (
    id                      BLOB    PRIMARY KEY CHECK (length(id) = 16),
    account_id              BLOB    NOT NULL REFERENCES accounts (id),
    kind                    TEXT    NOT NULL CHECK (kind IN ('add', 'remove', 'delete-account')),
    contact_id              BLOB    REFERENCES contacts (id),
    state                   TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'cancelled')),
    created_at_ms           INTEGER NOT NULL,
    due_at_ms               INTEGER NOT NULL,
    settled_at_ms           INTEGER,
    -- the approval that runs: its digits derive from the seed, the change's id and this counter
    challenge               INTEGER NOT NULL DEFAULT 1,
    challenge_attempts      INTEGER NOT NULL DEFAULT 0,
    challenge_expires_at_ms INTEGER NOT NULL,
    CHECK ((contact_id IS NULL) = (kind = 'delete-account'))
) STRICT;
CREATE INDEX contact_changes_account ON contact_changes (account_id, created_at_ms);
CREATE INDEX contact_changes_due ON contact_changes (due_at_ms) WHERE state = 'waiting';

-- The latest time that was seen, one row: a delay that begins while the clock is set back must not end early.
CREATE TABLE latest_time (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    seen_ms INTEGER NOT NULL
) STRICT;

-- Messages that owe nothing to the chain. No digits are stored: the sender derives them. A confirmation names its
-- contact's challenge, the others a change and, where they carry digits, its challenge.
CREATE TABLE notices (
    id            BLOB    PRIMARY KEY CHECK (length(id) = 16),
    account_id    BLOB    NOT NULL REFERENCES accounts (id),
    contact_id    BLOB    NOT NULL REFERENCES contacts (id),
    kind          TEXT    NOT NULL
                          CHECK (kind IN ('contact-confirmation', 'change-announced', 'change-digits', 'change-done')),
    change_id     BLOB    REFERENCES contact_changes (id),
    challenge     INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    CHECK ((change_id IS NULL) = (kind = 'contact-confirmation'))
) STRICT;
CREATE INDEX notices_open ON notices (expires_at_ms);
CREATE INDEX notices_account ON notices (account_id, created_at_ms);

-- ---- relayer: requests and the way to the chain -------------------------------------------------------------------

CREATE TABLE requests (
    id                   BLOB    PRIMARY KEY CHECK (length(id) = 16),
    account_id           BLOB    NOT NULL REFERENCES accounts (id),
    session_id           BLOB    NOT NULL REFERENCES sessions (id),
    contact_id           BLOB    NOT NULL REFERENCES contacts (id),
    idempotency_key      TEXT,
    body_hash            BLOB    NOT NULL CHECK (length(body_hash) = 32),
    reference            TEXT    NOT NULL,
    purpose              BLOB    NOT NULL CHECK (length(purpose) = 32),
    action               BLOB    NOT NULL CHECK (length(action) = 32),
    payload_hash         BLOB    CHECK (length(payload_hash) = 32),
    authorization_sealed BLOB    NOT NULL,
    created_at_ms        INTEGER NOT NULL,
    queued_at_ms         INTEGER NOT NULL,
    state                TEXT    NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'batched', 'failed')),
    failure              TEXT,
    failed_at_ms         INTEGER,
    -- the sender that is about to put it into a batch, so that several relayers do not sign for the same requests
    claimed_by           BLOB,
    claimed_at_ms        INTEGER,
    max_attempts         INTEGER NOT NULL CHECK (max_attempts BETWEEN 1 AND 5),
    attempts             INTEGER NOT NULL DEFAULT 0,
    unlocked_at_ms       INTEGER,
    locked_at_ms         INTEGER,
    CHECK (attempts <= max_attempts)
) STRICT;
CREATE UNIQUE INDEX requests_idempotency ON requests (account_id, idempotency_key);
CREATE INDEX requests_queue ON requests (purpose, id) WHERE state = 'queued';
CREATE INDEX requests_waiting ON requests (account_id) WHERE state = 'queued';
CREATE INDEX requests_account ON requests (account_id, id);
CREATE INDEX requests_reference ON requests (account_id, reference);
CREATE INDEX requests_contact ON requests (contact_id, created_at_ms);

-- Guesses at the digits of a request, a contact or a change that were evaluated or are being evaluated; a right one is taken out again.
CREATE TABLE guesses (
    id         INTEGER PRIMARY KEY,
    account_id BLOB    NOT NULL REFERENCES accounts (id),
    request_id BLOB    REFERENCES requests (id),
    contact_id BLOB    REFERENCES contacts (id),
    change_id  BLOB    REFERENCES contact_changes (id),
    made_at_ms INTEGER NOT NULL,
    CHECK ((request_id IS NOT NULL) + (contact_id IS NOT NULL) + (change_id IS NOT NULL) = 1)
) STRICT;
CREATE INDEX guesses_account ON guesses (account_id, made_at_ms);

-- Accounts of ours that send transactions. `fence` rises each time a process takes the key; a commit with an older
-- fence is refused.
CREATE TABLE senders (
    address    BLOB    PRIMARY KEY CHECK (length(address) = 20),
    fence      INTEGER NOT NULL,
    next_nonce INTEGER NOT NULL
) STRICT;

CREATE TABLE serials (
    issuer  BLOB    NOT NULL,
    purpose BLOB    NOT NULL,
    next    INTEGER NOT NULL,
    PRIMARY KEY (issuer, purpose)
) STRICT;

-- What a nonce of a sender is spent on: one row per nonce, whatever it is for. A batch has its row in `batches`, a
-- revocation its codes in `revoked_codes`; a filler does nothing but close a gap.
CREATE TABLE calls (
    id            INTEGER PRIMARY KEY,
    sender        BLOB    NOT NULL REFERENCES senders (address),
    -- negative in a dead row: its nonce is free for whoever used it
    nonce         INTEGER NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('batch', 'revocation', 'verification', 'filler')),
    -- chain time past which the contract refuses it; NULL where it never does
    deadline      INTEGER,
    created_at_ms INTEGER NOT NULL,
    -- late: past its deadline and being cancelled; void: its nonce was mined without effect. Both, like mined, are
    -- followed until they are final or dead.
    state         TEXT    NOT NULL DEFAULT 'signed'
                          CHECK (state IN ('signed', 'late', 'mined', 'void', 'final', 'dead')),
    tx_hash       BLOB,
    block_number  INTEGER,
    block_hash    BLOB,
    UNIQUE (sender, nonce)
) STRICT;
CREATE INDEX calls_open ON calls (sender, nonce) WHERE state NOT IN ('final', 'dead');

-- Every signed form of a call; all have its nonce and contents, or nothing where it is cancelled, and differ in fees.
CREATE TABLE transactions (
    hash                         BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    call_id                      INTEGER NOT NULL REFERENCES calls (id),
    -- as it is sent, but for the code in a verification: that is derived again (protocol.md, 6)
    raw                          BLOB    NOT NULL,
    max_fee_per_gas_wei          TEXT    NOT NULL,
    max_priority_fee_per_gas_wei TEXT    NOT NULL,
    signed_at_ms                 INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_call ON transactions (call_id);

CREATE TABLE batches (
    id      INTEGER PRIMARY KEY REFERENCES calls (id),
    issuer  BLOB    NOT NULL,
    purpose BLOB    NOT NULL,
    first   INTEGER NOT NULL,
    size    INTEGER NOT NULL CHECK (size BETWEEN 1 AND 80),
    root    BLOB    NOT NULL CHECK (length(root) = 32),
    UNIQUE (issuer, purpose, first)
) STRICT;
CREATE INDEX batches_root ON batches (root);

-- One row for each number that a request was given. A request has a second row only after its first batch died.
CREATE TABLE issuances (
    on_chain_id BLOB    PRIMARY KEY CHECK (length(on_chain_id) = 32),
    request_id  BLOB    NOT NULL REFERENCES requests (id),
    batch_id    INTEGER NOT NULL REFERENCES batches (id),
    serial      INTEGER NOT NULL
) STRICT;
CREATE INDEX issuances_request ON issuances (request_id, serial);
CREATE INDEX issuances_batch ON issuances (batch_id, serial);

-- Requests whose code is to be revoked whenever it stands on the chain, until that is final.
CREATE TABLE revocations (
    request_id    BLOB    PRIMARY KEY REFERENCES requests (id),
    cause         TEXT    NOT NULL,
    owed_at_ms    INTEGER NOT NULL,
    settled_at_ms INTEGER
) STRICT;
CREATE INDEX revocations_owed ON revocations (owed_at_ms) WHERE settled_at_ms IS NULL;

CREATE TABLE revoked_codes (
    call_id     INTEGER NOT NULL REFERENCES calls (id),
    on_chain_id BLOB    NOT NULL REFERENCES issuances (on_chain_id),
    PRIMARY KEY (call_id, on_chain_id)
) STRICT;
CREATE INDEX revoked_codes_id ON revoked_codes (on_chain_id);

-- Verifications that the sponsor pays for: `verifyFor`, signed by the wallet.
CREATE TABLE verifications (
    call_id    INTEGER PRIMARY KEY REFERENCES calls (id),
    request_id BLOB    NOT NULL REFERENCES requests (id)
) STRICT;
CREATE INDEX verifications_request ON verifications (request_id);

-- ---- indexer: what the chain says ----------------------------------------------------------------------------------

-- The last block applied, one row per (chain, verifier).
CREATE TABLE cursors (
    chain_id INTEGER NOT NULL,
    verifier BLOB    NOT NULL,
    number   INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (chain_id, verifier)
) STRICT;

CREATE TABLE blocks (
    hash        BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    number      INTEGER NOT NULL,
    parent_hash BLOB    NOT NULL,
    timestamp   INTEGER NOT NULL,
    canonical   INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_number ON blocks (number) WHERE canonical = 1;

-- The verifier's events; never deleted, an orphaned one has canonical = 0. An otp-set row repeats its batch's facts.
CREATE TABLE events (
    block_hash   BLOB    NOT NULL,
    log_index    INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    timestamp    INTEGER NOT NULL,
    tx_hash      BLOB    NOT NULL,
    canonical    INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    on_chain_id  BLOB,
    root         BLOB,
    issuer       BLOB,
    purpose      BLOB,
    serial       INTEGER,
    first        INTEGER,
    size         INTEGER,
    expiry       INTEGER,
    subject      BLOB,
    action       BLOB,
    party        BLOB,
    PRIMARY KEY (block_hash, log_index)
) STRICT;
CREATE INDEX events_id ON events (on_chain_id, kind);
CREATE INDEX events_root ON events (root, kind);
CREATE INDEX events_place ON events (block_number, log_index) WHERE canonical = 1;

-- Where a request's code stands on the canonical chain. Id, issuer, purpose and serial all agree: another issuer can copy
-- an id into a batch of its own.
CREATE VIEW landings AS
    SELECT i.request_id, e.on_chain_id, e.issuer, e.purpose, e.serial, e.expiry, e.block_number, e.block_hash, e.tx_hash,
           e.timestamp
    FROM events e
    JOIN issuances i ON i.on_chain_id = e.on_chain_id AND i.serial = e.serial
    JOIN batches b ON b.id = i.batch_id AND b.issuer = e.issuer AND b.purpose = e.purpose
    WHERE e.kind = 'otp-set' AND e.canonical = 1;

-- ---- indexer: messages ---------------------------------------------------------------------------------------------

-- The outbox: at most one row, and so one message, per code and channel, or per notice.
CREATE TABLE deliveries (
    message_id         TEXT    PRIMARY KEY,
    request_id         BLOB    REFERENCES requests (id),
    on_chain_id        BLOB,
    notice_id          BLOB    UNIQUE REFERENCES notices (id),
    contact_id         BLOB    NOT NULL,
    channel            TEXT    NOT NULL,
    state              TEXT    NOT NULL DEFAULT 'pending'
                               CHECK (state IN ('pending', 'sent', 'cancelled', 'expired', 'dead')),
    attempts           INTEGER NOT NULL DEFAULT 0,
    created_at_ms      INTEGER NOT NULL,
    due_at_ms          INTEGER NOT NULL,
    lease_until_ms     INTEGER NOT NULL DEFAULT 0,
    expires_at_ms      INTEGER NOT NULL,
    sent_at_ms         INTEGER,
    error              TEXT,
    UNIQUE (on_chain_id, channel),
    CHECK ((notice_id IS NULL) <> (on_chain_id IS NULL))
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at_ms) WHERE state = 'pending';
CREATE INDEX deliveries_request ON deliveries (request_id);
