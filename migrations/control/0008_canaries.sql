-- Rows whose only purpose is to be looked for after a restore: one before each base backup and each restore. A restored control database must
-- hold every canary that was written before the moment it was restored to, and none that was written after it.

CREATE TABLE canaries (
  canary_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
