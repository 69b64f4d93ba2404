-- Single sign-on of the tenant's people (docs/decisions/0030). Secrets are sealed under a key of the tenant, for one connection; tokens are kept
-- as SHA-256: whoever reads these tables can sign in as nobody and answer no request.

-- An identity provider, as an owner of the tenant described it.
CREATE TABLE freehold.sign_on_connections (
  connection_id text PRIMARY KEY CHECK (connection_id ~ '^con_[0-9a-hjkmnp-tv-z]{26}$'),
  kind          text NOT NULL CHECK (kind IN ('oidc', 'saml')),
  -- On the button: Continue with NAME.
  name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
  -- Nobody signs in over one that is off; an owner can test it.
  state         text NOT NULL DEFAULT 'off' CHECK (state IN ('on', 'off')),
  -- Nothing secret: src/identity/sso/types.ts.
  settings      jsonb NOT NULL CHECK (octet_length(settings::text) <= 200000),
  -- Null: to be entered, or made, again.
  sealed_secret bytea CHECK (octet_length(sealed_secret) <= 20000),
  -- Of the last test that an owner made with these settings. Null: none.
  last_test     jsonb CHECK (octet_length(last_test::text) <= 20000),
  created_at    timestamptz NOT NULL DEFAULT now(),
  changed_at    timestamptz NOT NULL DEFAULT now()
);

-- Mail domains for whose people a connection speaks, once the tenant has shown that it rules the domain.
CREATE TABLE freehold.sign_on_domains (
  -- ASCII, lower case.
  domain        text PRIMARY KEY CHECK (domain ~ '^[a-z0-9.-]{3,253}$'),
  connection_id text NOT NULL REFERENCES freehold.sign_on_connections ON DELETE CASCADE,
  -- What the TXT record has to say. No secret: it is published.
  token         text NOT NULL CHECK (octet_length(token) BETWEEN 20 AND 100),
  created_at    timestamptz NOT NULL DEFAULT now(),
  proven_at     timestamptz
);

CREATE INDEX sign_on_domains_by_connection ON freehold.sign_on_domains (connection_id);

-- Who somebody is at a provider. The e-mail address is not the key: addresses are given to other people.
CREATE TABLE freehold.sign_on_identities (
  connection_id text NOT NULL REFERENCES freehold.sign_on_connections ON DELETE CASCADE,
  subject       text NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 1200),
  user_id       text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  created_at    timestamptz NOT NULL DEFAULT now(),
  last_used_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (connection_id, subject),
  -- One person: a second subject with the same address is somebody else who was given it.
  UNIQUE (connection_id, user_id)
);

CREATE INDEX sign_on_identities_by_user ON freehold.sign_on_identities (user_id);

-- A sign-in that somebody began and that waits for the provider's answer.
CREATE TABLE freehold.sign_on_requests (
  -- Of what goes to the provider and comes back (state, RelayState).
  state_hash    bytea PRIMARY KEY CHECK (octet_length(state_hash) = 32),
  -- Of what only the browser that began has, in its cookie.
  browser_hash  bytea NOT NULL CHECK (octet_length(browser_hash) = 32),
  connection_id text NOT NULL REFERENCES freehold.sign_on_connections ON DELETE CASCADE,
  -- SAML: the ID of our request. Null: OpenID Connect.
  request_id    text CHECK (octet_length(request_id) <= 100),
  -- An owner who tests the connection; null: somebody signs in.
  tester_id     text REFERENCES freehold.users ON DELETE CASCADE,
  next_path     text NOT NULL CHECK (octet_length(next_path) <= 4000),
  expires_at    timestamptz NOT NULL
);

CREATE INDEX sign_on_requests_by_connection ON freehold.sign_on_requests (connection_id);
CREATE INDEX sign_on_requests_by_expiry ON freehold.sign_on_requests (expires_at);

-- Assertions and log-out messages that were used, until they are no longer valid.
CREATE TABLE freehold.saml_messages (
  message_hash bytea PRIMARY KEY CHECK (octet_length(message_hash) = 32),
  expires_at   timestamptz NOT NULL
);

CREATE INDEX saml_messages_by_expiry ON freehold.saml_messages (expires_at);

-- What a provider calls a session, so that it can end it.
CREATE TABLE freehold.sign_on_sessions (
  session_id    text PRIMARY KEY REFERENCES freehold.sessions ON DELETE CASCADE,
  connection_id text NOT NULL REFERENCES freehold.sign_on_connections ON DELETE CASCADE,
  subject       text NOT NULL CHECK (octet_length(subject) <= 1200),
  session_index text CHECK (octet_length(session_index) <= 1000)
);

CREATE INDEX sign_on_sessions_by_subject ON freehold.sign_on_sessions (connection_id, subject);

-- No row, or false: a password is good as well.
CREATE TABLE freehold.sign_on_policy (
  -- One row.
  single   boolean PRIMARY KEY DEFAULT true CHECK (single),
  enforced boolean NOT NULL
);

-- Owners who can always use their password and second factor, should the provider be away.
CREATE TABLE freehold.break_glass_owners (
  user_id text PRIMARY KEY REFERENCES freehold.users ON DELETE CASCADE
);

REVOKE ALL ON freehold.sign_on_connections, freehold.sign_on_domains, freehold.sign_on_identities, freehold.sign_on_requests,
  freehold.saml_messages, freehold.sign_on_sessions, freehold.sign_on_policy, freehold.break_glass_owners FROM PUBLIC;

-- Begun by a sign-in at a provider that is trusted to have asked for a second factor: no other one is asked for.
ALTER TABLE freehold.sessions ADD COLUMN has_foreign_factor boolean NOT NULL DEFAULT false;

-- As before (0009), but for sessions that have the factor of their provider.
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
      AND NOT s.has_foreign_factor
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
