-- Whose share of the workers a job takes, and the trace it belongs to.

ALTER TABLE job ADD COLUMN party TEXT NOT NULL DEFAULT ''; -- the app, or, where it names none, its owner
ALTER TABLE job ADD COLUMN trace TEXT;                      -- W3C traceparent of the request that made it

UPDATE job SET party = COALESCE(app_id, owner);

CREATE INDEX job_by_party ON job (kind, state, party, id);

-- A request with an Idempotency-Key is its gateway's while the gateway says so now and then.
ALTER TABLE idempotency ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;
