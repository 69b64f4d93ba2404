-- A token of somebody who must set up a second factor first is good for nothing meanwhile (docs/decisions/0022); nothing else is new
-- (0006). Written as check_session is, for the same reasons: every table, operator, function and type is named with its schema.
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
    JOIN freehold.users u ON u.user_id OPERATOR(pg_catalog.=) t.user_id
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
      )
      AND u.state OPERATOR(pg_catalog.=) 'active'
      AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now();
END
$$;
