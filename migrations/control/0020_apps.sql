-- Apps that run as processes (docs/decisions/0038): their versions, and which one each tenant runs.

-- The content of a version never changes. What is being built is finished or failed at the next start.
CREATE TABLE app_versions (
  app      text NOT NULL CHECK (app ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
  version  text NOT NULL CHECK (version ~ '^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$'),
  -- SHA-256 of what was sent, in its canonical form.
  digest   text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  manifest jsonb NOT NULL,
  notes    text NOT NULL,
  state    text NOT NULL CHECK (state IN ('building', 'ready', 'failed')),
  -- Why it failed, with the last lines of its build.
  error    text,
  added_at timestamptz NOT NULL,
  added_by text NOT NULL,
  PRIMARY KEY (app, version),
  CHECK ((state = 'failed') = (error IS NOT NULL))
);

CREATE INDEX app_versions_newest ON app_versions (app, added_at) WHERE state = 'ready';

-- Never goes back, so no tenant finds a folder of a former owner of its number. It is added to 1879048192, where the OS users begin that systemd leaves unused
-- (Users, Groups, UIDs and GIDs on systemd Systems); 65535 is who builds versions.
CREATE SEQUENCE tenant_app_places AS integer MINVALUE 0 MAXVALUE 65534 START 0;

-- Of tenants whose app runs as a process. Kept for deleted ones as long as they can be restored.
CREATE TABLE tenant_apps (
  tenant_id text PRIMARY KEY REFERENCES tenants,
  app       text NOT NULL,
  version   text NOT NULL,
  place     integer NOT NULL UNIQUE DEFAULT nextval('tenant_app_places') CHECK (place BETWEEN 0 AND 65534),
  -- No version goes away under a tenant.
  FOREIGN KEY (app, version) REFERENCES app_versions
);

ALTER SEQUENCE tenant_app_places OWNED BY tenant_apps.place;
CREATE INDEX tenant_apps_by_version ON tenant_apps (app, version);
