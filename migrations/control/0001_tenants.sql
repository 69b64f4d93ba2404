-- The registry: who the tenants are, what they are called, and where their databases are.

CREATE TABLE tenants (
  tenant_id        text PRIMARY KEY CHECK (tenant_id ~ '^ten_[0-9a-hjkmnp-tv-z]{26}$'),
  name             text NOT NULL,
  title            text NOT NULL,
  state            text NOT NULL CHECK (state IN ('requested', 'creating', 'active', 'migrating', 'suspended',
                                                  'restoring', 'moving', 'deleting', 'deleted')),
  edition          text NOT NULL CHECK (edition IN ('standard', 'private-cloud')),
  app              text NOT NULL,
  -- Emptied when the tenant is deleted: it names a person.
  admin_email      text NOT NULL,
  database_name    text UNIQUE,
  created_at       timestamptz NOT NULL,
  state_changed_at timestamptz NOT NULL,
  last_used_at     timestamptz,
  size_bytes       bigint,
  size_measured_at timestamptz
);

CREATE INDEX tenants_by_state ON tenants (state, tenant_id);
CREATE INDEX tenants_to_measure ON tenants (last_used_at) WHERE state = 'active';

-- Every host name that is in use, promised or still held back. One row per name, so the primary key is what makes two
-- tenants with one name impossible.
CREATE TABLE tenant_names (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{1,38})[a-z0-9]$'),
  tenant_id  text NOT NULL REFERENCES tenants,
  -- claimed: promised to an operation, not answered by gateways; current: answered; former: held back until held_until.
  status     text NOT NULL CHECK (status IN ('claimed', 'current', 'former')),
  held_until timestamptz,
  CHECK ((status = 'former') = (held_until IS NOT NULL))
);

CREATE UNIQUE INDEX tenant_names_one_current ON tenant_names (tenant_id) WHERE status = 'current';
CREATE UNIQUE INDEX tenant_names_one_claimed ON tenant_names (tenant_id) WHERE status = 'claimed';
CREATE INDEX tenant_names_by_tenant ON tenant_names (tenant_id);

-- Passwords of the tenant's two database roles, sealed under the tenant's own key: unreadable once that is destroyed.
CREATE TABLE tenant_secrets (
  tenant_id text NOT NULL REFERENCES tenants,
  name      text NOT NULL CHECK (name IN ('database.app', 'database.platform')),
  sealed    bytea NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

-- Databases made ahead of time. `making` is written before the database exists, so a crash leaves a name to clean up,
-- never a database that nobody knows. Taken by DELETE … RETURNING.
CREATE TABLE prepared_databases (
  database_name    text PRIMARY KEY,
  app              text NOT NULL,
  template_version text NOT NULL,
  state            text NOT NULL CHECK (state IN ('making', 'ready', 'dropping')),
  made_at          timestamptz NOT NULL
);

CREATE INDEX prepared_databases_ready ON prepared_databases (app, template_version, made_at) WHERE state = 'ready';
