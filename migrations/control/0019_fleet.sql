-- Migrations of the fleet: a run, a row per tenant that it has to bring forward, and what every version's catalogues should hold.

CREATE TABLE fleet_runs (
  run_id             text PRIMARY KEY CHECK (run_id ~ '^run_[0-9a-hjkmnp-tv-z]{26}$'),
  -- Digest of the migrations per app: {"desk": "…"}.
  target             jsonb NOT NULL,
  -- superseded: another release came before it was through.
  state              text NOT NULL CHECK (state IN ('running', 'done', 'halted', 'superseded')),
  reason             text,
  -- False: only the tenants that it was begun with.
  is_whole           boolean NOT NULL,
  max_failed_percent smallint NOT NULL CHECK (max_failed_percent BETWEEN 0 AND 100),
  min_failed         integer NOT NULL CHECK (min_failed >= 1),
  requested_by       text NOT NULL,
  started_at         timestamptz NOT NULL,
  finished_at        timestamptz
);

CREATE UNIQUE INDEX fleet_runs_one_running ON fleet_runs (state) WHERE state = 'running';
CREATE INDEX fleet_runs_by_time ON fleet_runs (started_at DESC);

CREATE TABLE fleet_tenants (
  run_id       text NOT NULL REFERENCES fleet_runs ON DELETE CASCADE,
  tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
  -- Those that are used most recently go first.
  position     integer NOT NULL,
  state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'skipped')),
  from_version text,
  to_version   text,
  attempts     integer NOT NULL DEFAULT 0,
  -- Not tried again before.
  not_before   timestamptz,
  duration_ms  integer,
  -- Of the last try, or why it was skipped.
  error_code   text,
  error_text   text,
  -- The process that has it.
  claimed_by   text,
  claimed_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (run_id, tenant_id)
);

CREATE INDEX fleet_tenants_waiting ON fleet_tenants (run_id, position) WHERE state = 'waiting';
CREATE INDEX fleet_tenants_by_tenant ON fleet_tenants (tenant_id);

-- What the catalogues of a database hold right after it was made at a version. `format` counts changes of how that is read; the
-- server prints definitions in its own words, which differ between major versions.
CREATE TABLE fleet_catalogues (
  version      text NOT NULL,
  format       smallint NOT NULL,
  server_major smallint NOT NULL,
  hash         text NOT NULL,
  objects      jsonb NOT NULL,
  made_at      timestamptz NOT NULL,
  PRIMARY KEY (version, format, server_major)
);

-- The last comparison of each tenant.
CREATE TABLE fleet_drift (
  tenant_id   text PRIMARY KEY REFERENCES tenants ON DELETE CASCADE,
  version     text NOT NULL,
  state       text NOT NULL CHECK (state IN ('equal', 'drifted', 'unknown', 'unreachable')),
  hash        text,
  -- [{"change", "object", "expected", "found"}], the first 200.
  differences jsonb NOT NULL DEFAULT '[]',
  count       integer NOT NULL DEFAULT 0,
  reason      text,
  checked_at  timestamptz NOT NULL,
  -- Since when it has been as it is.
  since       timestamptz NOT NULL
);

CREATE INDEX fleet_drift_drifted ON fleet_drift (since) WHERE state = 'drifted';
