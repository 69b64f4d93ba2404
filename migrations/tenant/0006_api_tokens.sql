-- API tokens of users (docs/decisions/0026). Kept as SHA-256: whoever reads this table holds none. A revoked one is removed.
CREATE TABLE freehold.api_tokens (
  token_id        text PRIMARY KEY CHECK (token_id ~ '^tok_[0-9a-hjkmnp-tv-z]{26}$'),
  token_hash      bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  user_id         text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  -- read: what only reads. write: everything that its user may do in the app.
  scope           text NOT NULL CHECK (scope IN ('read', 'write')),
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL CHECK (expires_at <= created_at + interval '8784 hours'),
  -- To the minute, at most once an hour. Null: never.
  last_used_at    timestamptz,
  -- The network that it came from, IPv4 /24 or IPv6 /64.
  last_used_range text CHECK (char_length(last_used_range) <= 64),
  last_used_agent text CHECK (char_length(last_used_agent) <= 300)
);

CREATE INDEX api_tokens_by_user ON freehold.api_tokens (user_id);
REVOKE ALL ON freehold.api_tokens FROM PUBLIC;

-- Whose token it is and what it is for, if it is good now; otherwise one row of nulls. The role is the user's at this moment. Written as check_session
-- is, for the same reasons (migrations/tenant/0003): every table, operator, function and type is named with its schema.
CREATE FUNCTION freehold.check_token(
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
    JOIN freehold.users u ON u.user_id OPERATOR(pg_catalog.=) t.user_id
    WHERE t.token_hash OPERATOR(pg_catalog.=) presented_token_hash
      AND u.state OPERATOR(pg_catalog.=) 'active'
      AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
END
$$;

-- Whether a token is still good: for streams that outlast the request they began with.
CREATE FUNCTION freehold.is_token_live(presented_token_id text) RETURNS boolean
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
DECLARE
  known_token_hash pg_catalog.bytea;
  live_token_id pg_catalog.text;
BEGIN
  SELECT t.token_hash INTO known_token_hash FROM freehold.api_tokens t WHERE t.token_id OPERATOR(pg_catalog.=) presented_token_id;
  SELECT c.token_id INTO live_token_id FROM freehold.check_token(known_token_hash) c;
  RETURN live_token_id IS NOT NULL;
END
$$;

REVOKE ALL ON FUNCTION freehold.check_token(bytea), freehold.is_token_live(text) FROM PUBLIC;

-- The app role is called like the database.
DO $$
BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION freehold.check_token(bytea), freehold.is_token_live(text) TO %I', current_database());
END
$$;
