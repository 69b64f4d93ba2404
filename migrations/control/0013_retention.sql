-- Retention that runs: what a person should look at in a run, and files that no row of their tenant refers to any more.

ALTER TABLE retention_runs ADD COLUMN warnings text[] NOT NULL DEFAULT '{}';

-- Written when the vault gives a file up, under the lock that proves it. The regions keep it as long as a moment can be restored in which a row referred to it.
CREATE TABLE unreferenced_files (
  tenant_id text NOT NULL,
  -- As in the vault.
  name      text NOT NULL,
  since     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

CREATE INDEX unreferenced_files_by_time ON unreferenced_files (since);
