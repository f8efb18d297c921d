-- What shows that whoever removed an instance's first rows had the key of its chain. Absent: the chain has no key.
ALTER TABLE audit_anchors ADD COLUMN seal TEXT;
