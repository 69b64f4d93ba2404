-- Dumps of tenants: what was in each, table by table, and how the last attempt at each tenant ended. Where dumps lie, table `dumps` says.

CREATE TABLE dump_contents (
  dump_id   text PRIMARY KEY CHECK (dump_id ~ '^dmp_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id text NOT NULL,
  key_id    text NOT NULL,
  server    text NOT NULL CHECK (server IN ('standby', 'primary')),
  lsn       pg_lsn NOT NULL,
  -- Of all rows and sequences, as the dump's own snapshot had them.
  sha256    text NOT NULL,
  -- [{"name", "rows", "sha256"}]
  tables    jsonb NOT NULL
);

CREATE INDEX dump_contents_by_tenant ON dump_contents (tenant_id);

CREATE TABLE dump_runs (
  tenant_id text PRIMARY KEY,
  ended_at  timestamptz NOT NULL,
  -- 'unchanged': the newest dump holds what the database holds.
  outcome   text NOT NULL CHECK (outcome IN ('stored', 'unchanged', 'failed')),
  dump_id   text,
  -- {"code", "text"}, when it failed.
  error     jsonb
);
