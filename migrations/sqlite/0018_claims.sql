-- Segments, lists and cohorts that are needed elsewhere: by experiments, and by what is followed.
-- Written by the segments service only.

CREATE TABLE segment_claim (
    app_id TEXT NOT NULL,
    owner  TEXT NOT NULL,                  -- an experiment, or what is followed
    target TEXT NOT NULL,                  -- a segment, list or cohort
    PRIMARY KEY (app_id, owner, target)
) WITHOUT ROWID;

CREATE INDEX segment_claim_by_target ON segment_claim (app_id, target);
