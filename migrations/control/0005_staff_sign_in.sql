-- Wrong passwords at the console, counted per scope; same shape as freehold.sign_in_failures of a tenant. The subject is a SHA-256.

CREATE TABLE staff_sign_in_failures (
  scope         text NOT NULL,
  subject       bytea NOT NULL,
  -- Within the current window, which ends at expires_at.
  failures      integer NOT NULL,
  -- Since the last success; no window ends it.
  consecutive   integer NOT NULL,
  blocked_until timestamptz,
  expires_at    timestamptz NOT NULL,
  PRIMARY KEY (scope, subject)
);

CREATE INDEX staff_sign_in_failures_by_expiry ON staff_sign_in_failures (expires_at);
