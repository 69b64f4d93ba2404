-- Second factors of users (docs/decisions/0022). What proves is sealed or hashed: whoever reads these tables can compute no code.

-- An authenticator app (RFC 6238). At most one per user; it counts once a first code of it was right.
CREATE TABLE freehold.totp_factors (
  user_id       text PRIMARY KEY REFERENCES freehold.users ON DELETE CASCADE,
  -- 20 bytes, sealed under a key of the tenant, for this user.
  sealed_secret bytea NOT NULL CHECK (octet_length(sealed_secret) = 49),
  created_at    timestamptz NOT NULL DEFAULT now(),
  -- Null: being set up.
  confirmed_at  timestamptz,
  -- Of the last code that was used. It only grows, so no code is good twice.
  last_step     bigint NOT NULL DEFAULT 0
);

-- A used one is removed.
CREATE TABLE freehold.recovery_codes (
  user_id   text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
  PRIMARY KEY (user_id, code_hash)
);

-- Somebody whose password was right and whose second factor is awaited. The token is in the browser's cookie; here is its SHA-256.
CREATE TABLE freehold.sign_in_challenges (
  token_hash   bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  user_id      text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  -- The user's epoch when the password was right: another password, role or state since then ends it.
  user_epoch   integer NOT NULL,
  -- Begun in a browser that the user signed in with before.
  known_device boolean NOT NULL,
  expires_at   timestamptz NOT NULL
);

CREATE INDEX sign_in_challenges_by_user ON freehold.sign_in_challenges (user_id);
CREATE INDEX sign_in_challenges_by_expiry ON freehold.sign_in_challenges (expires_at);

REVOKE ALL ON freehold.totp_factors, freehold.recovery_codes, freehold.sign_in_challenges FROM PUBLIC;
