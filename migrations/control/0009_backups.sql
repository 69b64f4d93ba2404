-- Backups. What lies in regions is the truth; the first four tables are a copy of it for people to look at, and can be rebuilt from a region at any time.

CREATE TABLE backups (
  backup_id    text PRIMARY KEY CHECK (backup_id ~ '^bak_[0-9a-hjkmnp-tv-z]{26}$'),
  cluster_id   text NOT NULL,
  timeline     bigint NOT NULL,
  start_lsn    pg_lsn NOT NULL,
  stop_lsn     pg_lsn NOT NULL,
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz NOT NULL,
  suspect      boolean NOT NULL,
  size_bytes   bigint NOT NULL,
  -- As it lies in one region; objects of earlier backups that it names are counted in.
  stored_bytes bigint NOT NULL,
  manifest     jsonb NOT NULL
);

CREATE INDEX backups_by_cluster ON backups (cluster_id, finished_at DESC);

CREATE TABLE backup_copies (
  region    text NOT NULL,
  backup_id text NOT NULL,
  state     text NOT NULL CHECK (state IN ('complete', 'incomplete', 'unreadable')),
  missing   text[] NOT NULL,
  stored_at timestamptz NOT NULL,
  PRIMARY KEY (region, backup_id)
);

-- WAL without a hole, per region and timeline.
CREATE TABLE wal_stretches (
  region          text NOT NULL,
  cluster_id      text NOT NULL,
  timeline        bigint NOT NULL,
  start_lsn       pg_lsn NOT NULL,
  end_lsn         pg_lsn NOT NULL,
  -- NULL: the pieces do not say.
  first_commit_at timestamptz,
  last_commit_at  timestamptz,
  PRIMARY KEY (region, cluster_id, timeline, start_lsn)
);

CREATE TABLE dumps (
  region     text NOT NULL,
  tenant_id  text NOT NULL,
  dump_id    text NOT NULL,
  size_bytes bigint NOT NULL,
  made_at    timestamptz,
  stored_at  timestamptz NOT NULL,
  PRIMARY KEY (region, tenant_id, dump_id)
);

CREATE INDEX dumps_by_tenant ON dumps (tenant_id, made_at DESC);

-- A backup or dump that was restored and checked, and an installation that was rebuilt from one region.

CREATE TABLE verifications (
  verification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind            text NOT NULL CHECK (kind IN ('backup', 'dump')),
  -- bak_… or the id of the dump.
  subject         text NOT NULL,
  tenant_id       text,
  region          text NOT NULL,
  started_at      timestamptz NOT NULL,
  finished_at     timestamptz NOT NULL,
  passed          boolean NOT NULL,
  -- Each with a code and words for staff; empty when it passed.
  findings        jsonb NOT NULL
);

CREATE INDEX verifications_by_subject ON verifications (subject, finished_at DESC);
CREATE INDEX verifications_by_time ON verifications (finished_at DESC);

CREATE TABLE drills (
  drill_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  region            text NOT NULL,
  started_at        timestamptz NOT NULL,
  finished_at       timestamptz NOT NULL,
  passed            boolean NOT NULL,
  -- Measured: work that would have been lost, and time until it could be used again. NULL: it did not get so far.
  recovery_point_ms bigint,
  recovery_time_ms  bigint,
  details           jsonb NOT NULL
);

CREATE INDEX drills_by_time ON drills (finished_at DESC);

-- Retention: what went from a region, and when the region's horizon was moved. Names are written before the objects go.

CREATE TABLE retention_runs (
  run_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  region          text NOT NULL,
  horizon         timestamptz NOT NULL,
  started_at      timestamptz NOT NULL,
  -- NULL: it runs, or it was interrupted.
  finished_at     timestamptz,
  removed_objects bigint,
  removed_bytes   bigint
);

CREATE INDEX retention_runs_by_region ON retention_runs (region, run_id DESC);

CREATE TABLE retention_removals (
  run_id   bigint NOT NULL REFERENCES retention_runs,
  position integer NOT NULL,
  names    text[] NOT NULL,
  PRIMARY KEY (run_id, position)
);

CREATE TRIGGER retention_removals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON retention_removals
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Objects of no known backup, and since when we know of them.
CREATE TABLE region_orphans (
  region  text NOT NULL,
  name    text NOT NULL,
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (region, name)
);

-- Which database belonged to which tenant, and what the tenant was called, at every moment. Written by a trigger in the transaction of the change, so no code
-- can forget it. `at` and `lsn` are from before that transaction's commit: a restore to them is one to the moment before the change.
CREATE TABLE tenant_ledger (
  position      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  lsn           pg_lsn,
  timeline      bigint,
  tenant_id     text NOT NULL,
  tenant_name   text NOT NULL,
  state         text NOT NULL,
  database_name text,
  -- NULL: there is none, or not yet.
  database_oid  oid
);

CREATE INDEX tenant_ledger_by_tenant ON tenant_ledger (tenant_id, position);
CREATE INDEX tenant_ledger_by_name ON tenant_ledger (tenant_name, position);

CREATE TRIGGER tenant_ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenant_ledger
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO tenant_ledger (at, tenant_id, tenant_name, state, database_name, database_oid)
SELECT t.created_at, t.tenant_id, t.name, t.state, t.database_name, d.oid
FROM tenants t LEFT JOIN pg_database d ON d.datname = t.database_name
ORDER BY t.created_at, t.tenant_id;

CREATE FUNCTION record_tenant_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  place pg_lsn := pg_current_wal_insert_lsn();
BEGIN
  INSERT INTO tenant_ledger (lsn, timeline, tenant_id, tenant_name, state, database_name, database_oid)
  VALUES (place, ('x' || substr(pg_walfile_name(place), 1, 8))::bit(32)::bigint, NEW.tenant_id, NEW.name, NEW.state, NEW.database_name,
          (SELECT oid FROM pg_database WHERE datname = NEW.database_name));
  RETURN NULL;
END
$$;

CREATE TRIGGER tenants_ledger_insert AFTER INSERT ON tenants
  FOR EACH ROW EXECUTE FUNCTION record_tenant_ledger();

CREATE TRIGGER tenants_ledger_update AFTER UPDATE ON tenants
  FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name OR OLD.state IS DISTINCT FROM NEW.state
                     OR OLD.database_name IS DISTINCT FROM NEW.database_name)
  EXECUTE FUNCTION record_tenant_ledger();
