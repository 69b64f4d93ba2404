-- Who must have a second factor (docs/decisions/0022). No row: nobody must. Whoever must and has none may only set one up; the check of every
-- request says so.
CREATE TABLE freehold.second_factor_policy (
  -- One row.
  single      boolean PRIMARY KEY DEFAULT true CHECK (single),
  required_of text NOT NULL CHECK (required_of IN ('off', 'admins', 'everyone'))
);

REVOKE ALL ON freehold.second_factor_policy FROM PUBLIC;

DROP FUNCTION freehold.check_session(bytea);

-- Who a session key belongs to, if it is good now; otherwise one row of nulls. The key that counts is good, and the one before it until thirty
-- seconds after the one that counts was first used. key_state: null, nothing to do; `due`, to be replaced; `unused`, the first use of this key;
-- `replaced`, its successor is to be sent again. The times: session-key.ts. must_enrol: of everything, the user may only set up a second factor.
-- Runs as the platform role. A pinned search path would cost every request a fifth of this call, so there is none to look anything up in:
-- every table, operator and function is named with its schema, literals take the type of the other side, and parameters have their types from
-- the moment of creation (variables have not: their types are named in full). What the app puts in the way, in its own schema or in pg_temp, is therefore never called with the platform's rights
-- (identity.test.ts; test/isolation, platform-schema). plpgsql, because it keeps its plan; INTO, because a set of rows costs more than one.
CREATE FUNCTION freehold.check_session(
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

-- Whether a session goes on and may do more than set up a factor, whatever its key is by now: for streams that outlast the key they began with.
CREATE OR REPLACE FUNCTION freehold.is_session_live(presented_session_id text) RETURNS boolean
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
DECLARE
  current_token_hash pg_catalog.bytea;
  live_session_id pg_catalog.text;
BEGIN
  SELECT s.token_hash INTO current_token_hash FROM freehold.sessions s WHERE s.session_id OPERATOR(pg_catalog.=) presented_session_id;
  SELECT c.session_id INTO live_session_id FROM freehold.check_session(current_token_hash) c WHERE NOT c.must_enrol;
  RETURN live_session_id IS NOT NULL;
END
$$;

REVOKE ALL ON FUNCTION freehold.check_session(bytea), freehold.is_session_live(text) FROM PUBLIC;

-- The app role is called like the database.
DO $$
BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION freehold.check_session(bytea), freehold.is_session_live(text) TO %I', current_database());
END
$$;
