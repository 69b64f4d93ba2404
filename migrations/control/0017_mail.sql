-- Messages to users of tenants, on their way to the mail server. Whom they go to and what they say is sealed under the tenant's key: another tenant's
-- people never reach this database, and whoever reads it or a copy of it holds no link. Nothing of it is in a tenant's database, so no copy of one sends anything.
CREATE TABLE mail (
  mail_id         text PRIMARY KEY CHECK (mail_id ~ '^mai_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id       text NOT NULL REFERENCES tenants,
  -- What the tenant was called when its links were made.
  tenant_name     text NOT NULL,
  kind            text NOT NULL,
  state           text NOT NULL CHECK (state IN ('kept', 'queued', 'sending', 'sent', 'failed', 'held')),
  -- Recipient, subject and text; without the text once it is sent.
  sealed          bytea NOT NULL,
  created_at      timestamptz NOT NULL,
  -- No attempt begins after this: the link in it is no use any more, or five days have passed.
  expires_at      timestamptz NOT NULL,
  attempts        integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  claimed_at      timestamptz,
  sent_at         timestamptz,
  problem         text,
  CHECK ((state = 'queued') = (next_attempt_at IS NOT NULL)),
  CHECK ((state = 'sending') = (claimed_at IS NOT NULL)),
  CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);

CREATE INDEX mail_by_time ON mail (created_at DESC, mail_id DESC);
CREATE INDEX mail_by_tenant ON mail (tenant_id, created_at);
CREATE INDEX mail_on_its_way ON mail (next_attempt_at) WHERE state IN ('queued', 'sending');
