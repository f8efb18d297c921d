-- What apps have used of their quotas: a row for each day (`d` and days since 1970) and month (`m` and yyyymm), in UTC. Units
-- that a service has reserved count as used until it gives them back.
CREATE TABLE usage_periods (
    app TEXT NOT NULL,
    period TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (app, period)
);

-- What was asked for, by UTC day (days since 1970).
CREATE TABLE usage_days (
    app TEXT NOT NULL,
    day BIGINT NOT NULL,
    biometric BIGINT NOT NULL,
    liveness BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (app, day)
);
