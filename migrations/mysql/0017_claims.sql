-- Segments, lists and cohorts that are needed elsewhere: by experiments, and by what is followed.
-- Written by the segments service only.

CREATE TABLE IF NOT EXISTS segment_claim (
    app_id VARCHAR(128) NOT NULL,
    owner  VARCHAR(128) NOT NULL,          -- an experiment, or what is followed
    target VARCHAR(128) NOT NULL,          -- a segment, list or cohort
    PRIMARY KEY (app_id, owner, target),
    INDEX segment_claim_by_target (app_id, target)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
