-- What a later version may add while services of this one use the tables: a table, an index, and columns with a default to the
-- tables that every request is counted or recorded in. Only builds with the feature `next-migration` have it.
CREATE TABLE next_things (
    id TEXT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL
);
ALTER TABLE apps ADD COLUMN next_setting TEXT;
ALTER TABLE audit ADD COLUMN next_field BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage_days ADD COLUMN next_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage_periods ADD COLUMN next_count BIGINT NOT NULL DEFAULT 0;
CREATE INDEX next_days ON usage_days (day, app);
