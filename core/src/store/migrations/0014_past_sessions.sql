-- Sessions of which it is still known where and by which device they were used.
CREATE INDEX sessions_known ON sessions (expires_at_ms)
    WHERE fingerprint <> x'0000000000000000000000000000000000000000000000000000000000000000';
