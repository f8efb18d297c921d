-- The apps that may call, and their keys. One row, the number of changes so far: services look at it to notice changes.
CREATE TABLE apps_revision (
    id BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO apps_revision (id, revision) VALUES (1, 0);

-- Lists are names separated by commas; an absent list allows everything. Absent limits are no limits.
CREATE TABLE apps (
    id TEXT NOT NULL PRIMARY KEY,
    disabled BIGINT NOT NULL,
    default_profile TEXT,
    profiles TEXT,
    endpoints TEXT,
    liveness_threshold_floor DOUBLE PRECISION NOT NULL,
    requests_per_second DOUBLE PRECISION,
    burst BIGINT,
    concurrent_requests BIGINT,
    daily_quota BIGINT,
    monthly_quota BIGINT,
    note TEXT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

-- SHA-256 over salt and key, both digest and salt in hexadecimal digits. The label is public.
CREATE TABLE app_keys (
    label TEXT NOT NULL PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    salt TEXT NOT NULL,
    digest TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);
CREATE INDEX app_keys_app ON app_keys (app);
