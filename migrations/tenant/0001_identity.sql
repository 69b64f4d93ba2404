-- Users of the tenant, their sessions and invitations, and the tenant's security events.
-- Belongs to the platform role. The app role may do one thing here: call freehold.check_session.
-- Times are the server's own, in every statement, so that gateways with differing clocks agree on what has expired.

CREATE TABLE freehold.users (
  user_id             text PRIMARY KEY CHECK (user_id ~ '^usr_[0-9a-hjkmnp-tv-z]{26}$'),
  email               text NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
  -- The address as it is compared: NFC, lower case.
  email_key           text NOT NULL UNIQUE CHECK (octet_length(email_key) BETWEEN 3 AND 254),
  name                text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  role                text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  state               text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  -- PHC string of argon2id.
  password_hash       text NOT NULL,
  password_changed_at timestamptz NOT NULL DEFAULT now(),
  -- Raised by whatever must end the user's sessions at once: another role, disabling, another password, sign-out everywhere.
  epoch               integer NOT NULL DEFAULT 1,
  created_at          timestamptz NOT NULL DEFAULT now(),
  last_sign_in_at     timestamptz
);

-- Tokens are kept as SHA-256: whoever reads these tables holds no session, invitation or device.
CREATE TABLE freehold.sessions (
  session_id      text PRIMARY KEY CHECK (session_id ~ '^ses_[0-9a-hjkmnp-tv-z]{26}$'),
  token_hash      bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  user_id         text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  -- The user's epoch when the session began; another one since then ends it.
  user_epoch      integer NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  last_used_at    timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL,
  idle_expires_at timestamptz NOT NULL,
  address         text,
  user_agent      text CHECK (char_length(user_agent) <= 300)
);

CREATE INDEX sessions_by_user ON freehold.sessions (user_id);
CREATE INDEX sessions_by_expiry ON freehold.sessions (expires_at);

CREATE TABLE freehold.invitations (
  invitation_id text PRIMARY KEY CHECK (invitation_id ~ '^inv_[0-9a-hjkmnp-tv-z]{26}$'),
  token_hash    bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  email         text NOT NULL,
  -- One link per address: a second invitation replaces the first.
  email_key     text NOT NULL UNIQUE,
  name          text,
  role          text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  -- A user id, or `system` for the first administrator. No reference: an invitation outlives who sent it.
  invited_by    text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz NOT NULL
);

-- A browser that signed in before: wrong passwords from elsewhere do not slow it down.
CREATE TABLE freehold.known_devices (
  token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  -- Several users may share a browser.
  user_id      text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (token_hash, user_id)
);

CREATE INDEX known_devices_by_user ON freehold.known_devices (user_id);

-- Wrong passwords, counted per scope. The subject is a SHA-256: people type passwords into the e-mail field.
CREATE TABLE freehold.sign_in_failures (
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

CREATE INDEX sign_in_failures_by_expiry ON freehold.sign_in_failures (expires_at);

CREATE TABLE freehold.audit_events (
  position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id    text NOT NULL UNIQUE CHECK (event_id ~ '^aud_[0-9a-hjkmnp-tv-z]{26}$'),
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  name        text NOT NULL,
  actor       text NOT NULL,
  subject     text NOT NULL,
  tenant_id   text,
  address     text,
  details     jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION freehold.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON freehold.audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION freehold.refuse_change();

-- Who a session token belongs to, if it is good now; otherwise one row of nulls. Runs as the platform role. A pinned search path would cost
-- every request a fifth of this call, so there is none to look anything up in: every table, operator and function is named with its schema,
-- literals take the type of the other side, and parameters have their types from the moment of creation. What the app puts in the way, in its
-- own schema or in pg_temp, is therefore never called with the platform's rights (identity.test.ts; test/isolation, platform-schema).
-- plpgsql, because it keeps its plan; INTO, because a set of rows costs more than one.
CREATE FUNCTION freehold.check_session(
    presented_token_hash bytea,
    OUT session_id text, OUT user_id text, OUT email text, OUT name text, OUT role text,
    OUT created_at timestamptz, OUT expires_at timestamptz, OUT last_used_at timestamptz
  )
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
#variable_conflict use_column
BEGIN
  SELECT s.session_id, u.user_id, u.email, u.name, u.role, s.created_at, s.expires_at, s.last_used_at
    INTO session_id, user_id, email, name, role, created_at, expires_at, last_used_at
    FROM freehold.sessions s
    JOIN freehold.users u ON u.user_id OPERATOR(pg_catalog.=) s.user_id
    WHERE s.token_hash OPERATOR(pg_catalog.=) presented_token_hash
      AND u.state OPERATOR(pg_catalog.=) 'active'
      AND u.epoch OPERATOR(pg_catalog.=) s.user_epoch
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()
      AND s.idle_expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA freehold FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA freehold FROM PUBLIC;

-- The app role is called like the database.
DO $$
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA freehold TO %I', current_database());
  EXECUTE format('GRANT EXECUTE ON FUNCTION freehold.check_session(bytea) TO %I', current_database());
END
$$;
