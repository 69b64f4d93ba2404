-- Releases of apps that run as processes (docs/decisions/0042): ring by ring, tenant by tenant, each with a snapshot to go back to.

ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'swap', 'set', 'update', 'clone', 'export', 'import', 'restore', 'delete', 'destroy'));

ALTER TABLE tenant_apps
  ADD COLUMN ring text NOT NULL DEFAULT 'production' CHECK (ring IN ('alpha', 'beta', 'production')),
  -- A person gave it this version: releases pass it over.
  ADD COLUMN is_held boolean NOT NULL DEFAULT false;

-- A tenant's database as it was before its app got another version, or before it went back. Closed to everybody; a backup seals it under the tenant's key.
CREATE TABLE tenant_snapshots (
  database_name text PRIMARY KEY,
  tenant_id     text NOT NULL REFERENCES tenants,
  -- Of the app that it belongs to.
  version       text NOT NULL,
  made_at       timestamptz NOT NULL,
  -- NULL: an operation has it.
  keep_until    timestamptz
);

CREATE INDEX tenant_snapshots_by_tenant ON tenant_snapshots (tenant_id);

-- What new tenants of a ring run, and those that come to it. There from the first release of an app on.
CREATE TABLE app_rings (
  app     text NOT NULL,
  ring    text NOT NULL CHECK (ring IN ('alpha', 'beta', 'production')),
  version text NOT NULL,
  PRIMARY KEY (app, ring),
  FOREIGN KEY (app, version) REFERENCES app_versions
);

CREATE TABLE releases (
  release_id   text PRIMARY KEY CHECK (release_id ~ '^rel_[0-9a-hjkmnp-tv-z]{26}$'),
  app          text NOT NULL,
  version      text NOT NULL,
  -- checking: it is tried on a copy. halted: a gate said no, and a person decides. returning: every tenant that it reached goes back.
  state        text NOT NULL CHECK (state IN ('checking', 'running', 'paused', 'halted', 'returning', 'returned', 'done')),
  ring         text NOT NULL CHECK (ring IN ('alpha', 'beta', 'production')),
  -- Since when all of the ring run it.
  soaks_since  timestamptz,
  -- A person said that the ring has been watched for long enough.
  is_promoted  boolean NOT NULL DEFAULT false,
  -- {"soakSeconds", "maxFailedPercent", "onHalt", …}
  settings     jsonb NOT NULL,
  -- What each ring ran before: {"alpha": "1.0.0", …}.
  before       jsonb NOT NULL,
  -- Why it was halted, or goes back.
  reason       text,
  requested_by text NOT NULL,
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz
);

CREATE UNIQUE INDEX releases_one_open ON releases (app) WHERE state NOT IN ('returned', 'done');
CREATE INDEX releases_by_time ON releases (started_at DESC);

CREATE TABLE release_tenants (
  release_id   text NOT NULL REFERENCES releases ON DELETE CASCADE,
  tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
  ring         text NOT NULL CHECK (ring IN ('alpha', 'beta', 'production')),
  -- failed: it was taken back alone. returned: it goes the way of the release.
  state        text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'skipped', 'returning', 'returned')),
  from_version text NOT NULL,
  -- Of this tenant for this release, the last one.
  operation_id text,
  attempts     integer NOT NULL DEFAULT 0,
  not_before   timestamptz,
  -- The first request since the switch that may have changed something: what a snapshot does not hold.
  written_at   timestamptz,
  -- With data: it has the content that it had before. Otherwise only the version went back.
  is_data_back boolean,
  error_code   text,
  error_text   text,
  finished_at  timestamptz,
  PRIMARY KEY (release_id, tenant_id)
);

CREATE INDEX release_tenants_waiting ON release_tenants (release_id, ring) WHERE state IN ('waiting', 'running', 'returning');
CREATE INDEX release_tenants_by_tenant ON release_tenants (tenant_id);
