-- Second factors of staff, and step-up (docs/decisions/0028). What proves is sealed or hashed: whoever reads these tables can compute no code.

-- An authenticator app (RFC 6238). At most one per member; it counts once a first code of it was right.
CREATE TABLE staff_totp_factors (
  staff_id      text PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
  -- 20 bytes, sealed under a key of the installation, for this member.
  sealed_secret bytea NOT NULL CHECK (octet_length(sealed_secret) = 49),
  created_at    timestamptz NOT NULL DEFAULT now(),
  -- Null: being set up.
  confirmed_at  timestamptz,
  -- Of the last code that was used. It only grows, so no code is good twice.
  last_step     bigint NOT NULL DEFAULT 0
);

-- A used one is removed.
CREATE TABLE staff_recovery_codes (
  staff_id  text NOT NULL REFERENCES staff ON DELETE CASCADE,
  code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
  PRIMARY KEY (staff_id, code_hash)
);

-- A member whose password was right and whose code is awaited. The token is in the browser's cookie; here is its SHA-256. Removed with a new password.
CREATE TABLE staff_sign_in_challenges (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  staff_id   text NOT NULL REFERENCES staff ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE INDEX staff_sign_in_challenges_by_staff ON staff_sign_in_challenges (staff_id);

-- For a member who has lost everything: whoever uses the link gets rid of the second factor, too.
ALTER TABLE staff_setup_tokens ADD COLUMN resets_factor boolean NOT NULL DEFAULT false;

ALTER TABLE staff_sessions
  -- When this browser last showed the password. Null: before this was kept.
  ADD COLUMN password_shown_at timestamptz,
  -- Until then dangerous acts are allowed. Null: never confirmed.
  ADD COLUMN confirmed_until timestamptz;
