-- The operator's people and their console sessions.

CREATE TABLE staff (
  staff_id      text PRIMARY KEY CHECK (staff_id ~ '^stf_[0-9a-hjkmnp-tv-z]{26}$'),
  email         text NOT NULL,
  name          text NOT NULL,
  password_hash text NOT NULL,
  created_at    timestamptz NOT NULL,
  disabled_at   timestamptz
);

CREATE UNIQUE INDEX staff_email ON staff (lower(email));

-- Tokens are kept as hashes: reading this table lets nobody in.
CREATE TABLE staff_sessions (
  token_hash   bytea PRIMARY KEY,
  staff_id     text NOT NULL REFERENCES staff ON DELETE CASCADE,
  created_at   timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  address      text,
  user_agent   text
);

CREATE INDEX staff_sessions_by_staff ON staff_sessions (staff_id);
CREATE INDEX staff_sessions_by_expiry ON staff_sessions (expires_at);

CREATE TABLE staff_setup_tokens (
  token_hash bytea PRIMARY KEY,
  expires_at timestamptz NOT NULL,
  email      text
);
