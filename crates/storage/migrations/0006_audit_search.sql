-- What audit records are found by: a row for each verification, taken from its line in `audit`. Services write it for new
-- records and, in batches, for older ones. The tables are new, so that no migration reads or locks the records.

-- A number for each instance, and which of its records, from first_seq to last_seq, are in the tables below.
CREATE TABLE audit_chains (
    id BIGINT NOT NULL PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
);

-- `sample` is k for one of 2^(k+1) records, by chance: all records of k and above are a sample of one in 2^k. `codes` are
-- separated by spaces. `outcome` is `error` for a request without a decision. `duration` is in milliseconds.
CREATE TABLE audit_search (
    chain BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    sample BIGINT NOT NULL,
    request_id TEXT,
    correlation_id TEXT,
    app TEXT,
    endpoint TEXT,
    profile TEXT,
    outcome TEXT NOT NULL,
    status BIGINT,
    error TEXT,
    codes TEXT NOT NULL,
    face_match DOUBLE PRECISION,
    liveness DOUBLE PRECISION,
    duration DOUBLE PRECISION,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_search_time ON audit_search (time, chain, seq);
CREATE INDEX audit_search_sample ON audit_search (sample, time);
CREATE INDEX audit_search_app ON audit_search (app, time, chain, seq);
CREATE INDEX audit_search_endpoint ON audit_search (endpoint, time, chain, seq);
CREATE INDEX audit_search_profile ON audit_search (profile, time, chain, seq);
CREATE INDEX audit_search_outcome ON audit_search (outcome, time, chain, seq);
CREATE INDEX audit_search_request_id ON audit_search (request_id);
CREATE INDEX audit_search_correlation_id ON audit_search (correlation_id, time, chain, seq);

-- A row for each code of a record.
CREATE TABLE audit_codes (
    code TEXT NOT NULL,
    time BIGINT NOT NULL,
    chain BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (code, time, chain, seq)
);

-- The records that say that a client received another status than its verification's record has.
CREATE TABLE audit_withheld (
    request_id TEXT NOT NULL,
    chain BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    status BIGINT NOT NULL,
    PRIMARY KEY (request_id, chain, seq)
);
CREATE INDEX audit_withheld_seq ON audit_withheld (chain, seq);
