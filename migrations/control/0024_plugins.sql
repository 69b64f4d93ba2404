-- Custom plugins of tenants of the Private Cloud edition (docs/decisions/0045).

-- What was sent, in its canonical form: it lies here and not on the disk alone, so that it comes back with the installation.
CREATE TABLE plugin_packages (
  digest  text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  content bytea NOT NULL CHECK (octet_length(content) <= 16777216)
);

-- Never goes back: no plugin gets the OS user of a former one. It is added to 1879113728, above the users of apps (0020).
CREATE SEQUENCE plugin_places AS integer MINVALUE 0 MAXVALUE 65534 START 0;

CREATE TABLE plugins (
  tenant_id    text NOT NULL REFERENCES tenants,
  name         text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
  version      text NOT NULL CHECK (version ~ '^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$'),
  digest       text NOT NULL REFERENCES plugin_packages,
  manifest     jsonb NOT NULL,
  place        integer NOT NULL UNIQUE DEFAULT nextval('plugin_places') CHECK (place BETWEEN 0 AND 65534),
  -- Who acts at the tenant's API. Nobody signs in as it: the tenant has no such user.
  user_id      text NOT NULL UNIQUE CHECK (user_id ~ '^usr_[0-9a-hjkmnp-tv-z]{26}$'),
  -- failed: too many runs in a row did.
  state        text NOT NULL CHECK (state IN ('enabled', 'disabled', 'failed')),
  added_at     timestamptz NOT NULL,
  added_by     text NOT NULL,
  -- Last, by somebody: what takes the place of its tenant later disables it.
  enabled_at   timestamptz NOT NULL,
  -- Of its schedule; null: it has none, or is not enabled.
  next_run_at  timestamptz,
  -- Events up to here were handled, and beyond it those that are named: of the last minutes, where a later position may be seen before an earlier one.
  event_position  bigint NOT NULL DEFAULT 0,
  event_positions bigint[] NOT NULL DEFAULT '{}',
  -- Not before this are events tried again.
  retry_at     timestamptz,
  failures     integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  last_run_at  timestamptz,
  last_trigger text CHECK (last_trigger IN ('manual', 'schedule', 'events')),
  last_outcome text CHECK (last_outcome IN ('running', 'succeeded', 'failed')),
  last_reason  text,
  PRIMARY KEY (tenant_id, name)
);

ALTER SEQUENCE plugin_places OWNED BY plugins.place;
CREATE INDEX plugins_by_digest ON plugins (digest);
CREATE INDEX plugins_due ON plugins (next_run_at) WHERE state = 'enabled';

-- Of whom another tenant has taken the place.
CREATE INDEX operations_by_kept_tenant ON operations ((result->>'keptTenantId')) WHERE result ? 'keptTenantId';
