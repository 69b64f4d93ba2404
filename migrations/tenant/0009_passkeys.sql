-- Passkeys of users (docs/decisions/0027; Web Authentication Level 3). Public keys only: whoever reads these tables can sign nothing.

-- What authenticators know a user by, in place of anything that names them (14.6.1): random, and stays as long as the user.
CREATE TABLE freehold.passkey_users (
  user_id text PRIMARY KEY REFERENCES freehold.users ON DELETE CASCADE,
  handle  bytea NOT NULL UNIQUE CHECK (octet_length(handle) = 32)
);

CREATE TABLE freehold.passkeys (
  passkey_id      text PRIMARY KEY CHECK (passkey_id ~ '^pky_[0-9a-hjkmnp-tv-z]{26}$'),
  user_id         text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  -- Made by the authenticator; nobody else's in this tenant may be the same (7.1, step 26).
  credential_id   bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 16 AND 1023),
  -- COSE key.
  public_key      bytea NOT NULL CHECK (octet_length(public_key) BETWEEN 32 AND 2048),
  -- Of signatures, as the authenticator counts. 0: it does not. Otherwise it only grows: one that does not is a copy.
  counter         bigint NOT NULL CHECK (counter BETWEEN 0 AND 4294967295),
  -- How a browser reaches the authenticator; hints only.
  transports      text[] NOT NULL CHECK (cardinality(transports) <= 8),
  -- Whether it may be, and is, copied by its owner's password manager.
  backup_eligible boolean NOT NULL,
  backed_up       boolean NOT NULL,
  -- The host that it was made for. It works on no other.
  rp_id           text NOT NULL CHECK (octet_length(rp_id) BETWEEN 1 AND 253),
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- Null: never.
  last_used_at    timestamptz
);

CREATE INDEX passkeys_by_user ON freehold.passkeys (user_id);

-- What an authenticator is to sign, once. Here is the SHA-256 of it.
CREATE TABLE freehold.passkey_challenges (
  challenge_hash bytea PRIMARY KEY CHECK (octet_length(challenge_hash) = 32),
  -- SHA-256 of what only the browser that asked has: its session, its sign-in that waits, or its cookie for this.
  bound_to       bytea NOT NULL CHECK (octet_length(bound_to) = 32),
  purpose        text NOT NULL CHECK (purpose IN ('register', 'confirm', 'second_step', 'sign_in')),
  -- Null, for `sign_in`: the passkey will say.
  user_id        text REFERENCES freehold.users ON DELETE CASCADE CHECK ((user_id IS NULL) = (purpose = 'sign_in')),
  -- The user's epoch when it was asked for.
  user_epoch     integer CHECK ((user_epoch IS NULL) = (user_id IS NULL)),
  -- Where it was asked for, as configured.
  rp_id          text NOT NULL,
  origin         text NOT NULL,
  expires_at     timestamptz NOT NULL
);

CREATE INDEX passkey_challenges_by_browser ON freehold.passkey_challenges (bound_to);
CREATE INDEX passkey_challenges_by_user ON freehold.passkey_challenges (user_id);
CREATE INDEX passkey_challenges_by_expiry ON freehold.passkey_challenges (expires_at);

REVOKE ALL ON freehold.passkey_users, freehold.passkeys, freehold.passkey_challenges FROM PUBLIC;

-- A passkey is a second factor: check_session and check_token (0007, 0008) look for one as well. Nothing else of them is new.
CREATE OR REPLACE FUNCTION freehold.check_session(
    presented_token_hash bytea,
    OUT session_id text, OUT user_id text, OUT email text, OUT name text, OUT role text,
    OUT created_at timestamptz, OUT expires_at timestamptz, OUT last_used_at timestamptz, OUT key_state text,
    OUT must_enrol boolean
  )
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
#variable_conflict use_column
DECLARE
  current_token_hash pg_catalog.bytea;
BEGIN
  SELECT s.session_id, u.user_id, u.email, u.name, u.role, s.created_at, s.expires_at, s.last_used_at,
      CASE
        WHEN s.key_used_at IS NULL THEN 'unused'
        WHEN s.rotated_at OPERATOR(pg_catalog.+) '4 minutes'::pg_catalog.interval OPERATOR(pg_catalog.<=) pg_catalog.now()
          AND s.key_used_at OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval OPERATOR(pg_catalog.<=) pg_catalog.now() THEN 'due'
      END,
      EXISTS (
        SELECT 1 FROM freehold.second_factor_policy p
        WHERE p.required_of OPERATOR(pg_catalog.=) 'everyone'
          OR (p.required_of OPERATOR(pg_catalog.=) 'admins' AND u.role OPERATOR(pg_catalog.<>) 'member')
      ) AND NOT EXISTS (
        SELECT 1 FROM freehold.totp_factors f
        WHERE f.user_id OPERATOR(pg_catalog.=) u.user_id AND f.confirmed_at IS NOT NULL
      )
      AND NOT EXISTS (
        SELECT 1 FROM freehold.passkeys k WHERE k.user_id OPERATOR(pg_catalog.=) u.user_id
      )
    INTO session_id, user_id, email, name, role, created_at, expires_at, last_used_at, key_state, must_enrol
    FROM freehold.sessions s
    JOIN freehold.users u ON u.user_id OPERATOR(pg_catalog.=) s.user_id
    WHERE s.token_hash OPERATOR(pg_catalog.=) presented_token_hash
      AND u.state OPERATOR(pg_catalog.=) 'active'
      AND u.epoch OPERATOR(pg_catalog.=) s.user_epoch
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()
      AND s.idle_expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
  IF FOUND THEN
    RETURN;
  END IF;
  SELECT s.token_hash INTO current_token_hash
    FROM freehold.sessions s
    WHERE s.previous_token_hash OPERATOR(pg_catalog.=) presented_token_hash
      AND (s.key_used_at IS NULL
        OR s.key_used_at OPERATOR(pg_catalog.+) '30 seconds'::pg_catalog.interval OPERATOR(pg_catalog.>) pg_catalog.now());
  IF FOUND THEN
    SELECT c.session_id, c.user_id, c.email, c.name, c.role, c.created_at, c.expires_at, c.last_used_at, 'replaced', c.must_enrol
      INTO session_id, user_id, email, name, role, created_at, expires_at, last_used_at, key_state, must_enrol
      FROM freehold.check_session(current_token_hash) c;
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION freehold.check_token(
    presented_token_hash bytea,
    OUT token_id text, OUT scope text, OUT user_id text, OUT email text, OUT name text, OUT role text,
    OUT created_at timestamptz, OUT expires_at timestamptz, OUT last_used_at timestamptz
  )
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
#variable_conflict use_column
BEGIN
  SELECT t.token_id, t.scope, u.user_id, u.email, u.name, u.role, t.created_at, t.expires_at, t.last_used_at
    INTO token_id, scope, user_id, email, name, role, created_at, expires_at, last_used_at
    FROM freehold.api_tokens t
    JOIN freehold.users u ON u.user_id OPERATOR(pg_catalog.=) t.user_id AND u.state OPERATOR(pg_catalog.=) 'active'
    WHERE t.token_hash OPERATOR(pg_catalog.=) presented_token_hash
      AND NOT (
        EXISTS (
          SELECT 1 FROM freehold.second_factor_policy p
          WHERE p.required_of OPERATOR(pg_catalog.=) 'everyone'
            OR (p.required_of OPERATOR(pg_catalog.=) 'admins' AND u.role OPERATOR(pg_catalog.<>) 'member')
        ) AND NOT EXISTS (
          SELECT 1 FROM freehold.totp_factors f
          WHERE f.user_id OPERATOR(pg_catalog.=) u.user_id AND f.confirmed_at IS NOT NULL
        )
        AND NOT EXISTS (
          SELECT 1 FROM freehold.passkeys k WHERE k.user_id OPERATOR(pg_catalog.=) u.user_id
        )
      )
      AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
END
$$;
