-- What is told of the chain in numbers, for metrics and GET /v1/stats. Writer: the indexer. `figures` can be made again from
-- the other tables, and `indexer rebuild` lets it be; calls and the timelock's steps stay then: why a call failed only a
-- node knows that still has the state.

-- How far final blocks were counted ('figures'), searched for calls to the verifier ('calls') and for what its timelock
-- did ('timelock').
CREATE TABLE followers (
    chain_id INTEGER NOT NULL,
    verifier BLOB    NOT NULL,
    task     TEXT    NOT NULL CHECK (task IN ('figures', 'calls', 'timelock')),
    number   INTEGER NOT NULL,
    PRIMARY KEY (chain_id, verifier, task)
) STRICT;

-- Counts by slots of ten minutes of chain time; slot 0 holds the sum of all slots. A series that only counts has bucket 0,
-- one that measures has the upper bounds that its values fell under. Only what can no longer change is here; what is younger
-- is counted from the events themselves whenever it is asked for.
CREATE TABLE figures (
    slot   INTEGER NOT NULL,
    series TEXT    NOT NULL,
    bucket INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    total  INTEGER NOT NULL,
    PRIMARY KEY (slot, series, bucket)
) STRICT, WITHOUT ROWID;

-- Transactions of final blocks that went straight to the verifier, as far as they reverted or issued. Who sent them is not
-- kept.
CREATE TABLE contract_calls (
    block_hash   BLOB    NOT NULL CHECK (length(block_hash) = 32),
    tx_index     INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    timestamp    INTEGER NOT NULL,
    tx_hash      BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    -- as the interface has it; 'other' for what it does not have
    function     TEXT    NOT NULL,
    -- 'succeeded', the name of the contract's error, or 'unexplained' where running it again did not fail as it did
    outcome      TEXT    NOT NULL,
    gas_used     INTEGER NOT NULL,
    -- codes that an issuance carried
    codes        INTEGER NOT NULL,
    PRIMARY KEY (block_hash, tx_index)
) STRICT;

-- Operations of the timelock that governs the verifier, from its CallScheduled and CallExecuted.
CREATE TABLE timelock_steps (
    block_hash   BLOB    NOT NULL CHECK (length(block_hash) = 32),
    log_index    INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    timestamp    INTEGER NOT NULL,
    tx_hash      BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    operation    BLOB    NOT NULL CHECK (length(operation) = 32),
    step         TEXT    NOT NULL CHECK (step IN ('scheduled', 'executed', 'cancelled')),
    PRIMARY KEY (block_hash, log_index)
) STRICT;
CREATE INDEX timelock_steps_operation ON timelock_steps (operation, step);

-- Messages that were given up, so that their number is read without reading those that were sent.
CREATE INDEX deliveries_failed ON deliveries (created_at_ms) WHERE state = 'failed';
