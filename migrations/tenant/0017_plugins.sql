-- For custom plugins (docs/decisions/0045). Both tables are closed to the app role.

-- What plugins keep. It goes along with backups, restores, copies and archives; the plugins themselves belong to the installation.
CREATE TABLE freehold.plugin_state (
  plugin     text NOT NULL CHECK (plugin ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
  key        text COLLATE "C" NOT NULL CHECK (octet_length(key) <= 200),
  -- A JSON text.
  value      text NOT NULL CHECK (octet_length(value) <= 65536),
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plugin, key)
);

-- One for each run that uses the API. Its user is in no other table: nobody signs in as a plugin.
CREATE TABLE freehold.plugin_tokens (
  token_id   text PRIMARY KEY CHECK (token_id ~ '^tok_[0-9a-hjkmnp-tv-z]{26}$'),
  token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  user_id    text NOT NULL CHECK (user_id ~ '^usr_[0-9a-hjkmnp-tv-z]{26}$'),
  plugin     text NOT NULL CHECK (plugin ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
  scope      text NOT NULL CHECK (scope IN ('read', 'write')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL CHECK (expires_at <= created_at + interval '1 hour')
);

REVOKE ALL ON freehold.plugin_state, freehold.plugin_tokens FROM PUBLIC;

-- A plugin's token is good as a member's; nothing else is new (0009). Written as check_session is, for the same reasons: every table, operator, function and type
-- is named with its schema.
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
  IF NOT FOUND THEN
    SELECT t.token_id, t.scope, t.user_id, t.plugin OPERATOR(pg_catalog.||) '@plugins.invalid', t.plugin, 'member', t.created_at, t.expires_at, NULL
      INTO token_id, scope, user_id, email, name, role, created_at, expires_at, last_used_at
      FROM freehold.plugin_tokens t
      WHERE t.token_hash OPERATOR(pg_catalog.=) presented_token_hash
        AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION freehold.is_token_live(presented_token_id text) RETURNS boolean
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
  SECURITY DEFINER
AS $$
DECLARE
  known_token_hash pg_catalog.bytea;
  live_token_id pg_catalog.text;
BEGIN
  SELECT t.token_hash INTO known_token_hash FROM freehold.api_tokens t WHERE t.token_id OPERATOR(pg_catalog.=) presented_token_id;
  IF NOT FOUND THEN
    SELECT t.token_hash INTO known_token_hash FROM freehold.plugin_tokens t WHERE t.token_id OPERATOR(pg_catalog.=) presented_token_id;
  END IF;
  SELECT c.token_id INTO live_token_id FROM freehold.check_token(known_token_hash) c;
  RETURN live_token_id IS NOT NULL;
END
$$;
