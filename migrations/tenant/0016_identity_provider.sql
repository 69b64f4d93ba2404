-- For apps that run as processes and sign people in over OpenID Connect: this tenant as their provider. Closed to the app role.

-- The tenant's signing key; sealed for the tenant, so that a copy makes its own.
CREATE TABLE freehold.provider_keys (
  is_only            boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  key_id             text NOT NULL CHECK (key_id ~ '^[A-Za-z0-9_-]{43}$'),
  sealed_private_key bytea NOT NULL,
  public_jwk         jsonb NOT NULL,
  made_at            timestamptz NOT NULL DEFAULT now()
);

-- Authorization codes. A used one stays until it is pruned: who presents it again ends what it gave (RFC 6749, 4.1.2).
CREATE TABLE freehold.provider_codes (
  code_hash      bytea PRIMARY KEY CHECK (octet_length(code_hash) = 32),
  session_id     text NOT NULL REFERENCES freehold.sessions ON DELETE CASCADE,
  client_id      text NOT NULL CHECK (char_length(client_id) <= 200),
  redirect_uri   text NOT NULL CHECK (char_length(redirect_uri) <= 2000),
  code_challenge text NOT NULL CHECK (code_challenge ~ '^[A-Za-z0-9_-]{43}$'),
  nonce          text CHECK (char_length(nonce) <= 512),
  scope          text NOT NULL CHECK (char_length(scope) <= 200),
  expires_at     timestamptz NOT NULL,
  used_at        timestamptz
);

CREATE INDEX provider_codes_by_session ON freehold.provider_codes (session_id);

-- For userinfo alone; ends with the session.
CREATE TABLE freehold.provider_access_tokens (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  code_hash  bytea NOT NULL,
  session_id text NOT NULL REFERENCES freehold.sessions ON DELETE CASCADE,
  scope      text NOT NULL CHECK (char_length(scope) <= 200),
  expires_at timestamptz NOT NULL
);

CREATE INDEX provider_access_tokens_by_code ON freehold.provider_access_tokens (code_hash);
CREATE INDEX provider_access_tokens_by_session ON freehold.provider_access_tokens (session_id);
