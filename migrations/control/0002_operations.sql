-- Lifecycle operations and their steps: written before and after each step, so that the next start can go on.

CREATE TABLE operations (
  operation_id     text PRIMARY KEY CHECK (operation_id ~ '^opr_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id        text NOT NULL REFERENCES tenants,
  -- The name at the time of the operation: it stays readable after a rename.
  tenant_name      text NOT NULL,
  -- The tenant that a clone copies.
  source_tenant_id text REFERENCES tenants,
  kind             text NOT NULL CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'clone', 'export', 'import', 'delete')),
  state            text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'undone')),
  -- True from the moment the operation gives up going forward and takes its steps back.
  undoing          boolean NOT NULL DEFAULT false,
  input            jsonb NOT NULL,
  -- What steps found out and later steps (or the undo) need; never a secret.
  memo             jsonb NOT NULL DEFAULT '{}',
  result           jsonb NOT NULL DEFAULT '{}',
  -- What may be shown once, for example an invitation link: sealed under the tenant's key, emptied when it is shown.
  sealed_result    bytea,
  requested_by     text NOT NULL,
  started_at       timestamptz NOT NULL,
  finished_at      timestamptz,
  error_code       text,
  error_text       text
);

CREATE INDEX operations_running ON operations (started_at) WHERE state = 'running';
CREATE INDEX operations_by_tenant ON operations (tenant_id, started_at DESC);
CREATE INDEX operations_by_time ON operations (started_at DESC, operation_id DESC);

CREATE TABLE operation_steps (
  operation_id text NOT NULL REFERENCES operations ON DELETE CASCADE,
  position     smallint NOT NULL,
  name         text NOT NULL,
  state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'undone')),
  started_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (operation_id, position)
);

-- One running operation per tenant. A row per tenant that an operation touches (a clone touches two): the primary key
-- refuses the second operation, whoever starts it.
CREATE TABLE tenant_locks (
  tenant_id    text PRIMARY KEY REFERENCES tenants,
  -- Deferred: the lock is taken first in the transaction that records the operation.
  operation_id text NOT NULL REFERENCES operations ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX tenant_locks_by_operation ON tenant_locks (operation_id);

-- What was destroyed and what expires when: a signed document, and the public key (SPKI, PEM) that proves it.
CREATE TABLE deletion_certificates (
  certificate_id text PRIMARY KEY CHECK (certificate_id ~ '^crt_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id      text NOT NULL UNIQUE REFERENCES tenants,
  tenant_name    text NOT NULL,
  issued_at      timestamptz NOT NULL,
  document       jsonb NOT NULL,
  public_key     text NOT NULL
);
