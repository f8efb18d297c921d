-- The number of the last batch of counts that each service has added, and when: a batch that comes again is not added again.
CREATE TABLE usage_writers (
    writer TEXT NOT NULL PRIMARY KEY,
    batch BIGINT NOT NULL,
    time BIGINT NOT NULL
);
