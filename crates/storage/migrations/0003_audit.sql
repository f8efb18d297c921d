-- The audit: a row for each line of the audit files, which it is read from. `line` is the line as it is, the others are
-- taken from it to be searched.
CREATE TABLE audit (
    instance TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,
    request_id TEXT,
    app TEXT,
    status BIGINT,
    outcome TEXT,
    line TEXT NOT NULL,
    PRIMARY KEY (instance, seq)
);
CREATE INDEX audit_time ON audit (time);

-- The last row of each instance that retention has removed: the chain goes on from it.
CREATE TABLE audit_anchors (
    instance TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
