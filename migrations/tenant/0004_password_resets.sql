-- Links for a new password. Tokens are kept as SHA-256. A request for an address that nobody has writes a row too, for nobody: asking costs the same.
CREATE TABLE freehold.password_resets (
  token_hash   bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  user_id      text REFERENCES freehold.users ON DELETE CASCADE,
  -- The user's epoch when it was made: another password, role or state since then ends it.
  user_epoch   integer,
  -- Asked for by a browser that the user signed in with before; counted apart from those of strangers.
  known_device boolean NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  CHECK ((user_id IS NULL) = (user_epoch IS NULL))
);

CREATE INDEX password_resets_by_user ON freehold.password_resets (user_id);
CREATE INDEX password_resets_by_time ON freehold.password_resets (created_at);
-- For counting: a flood of requests for addresses that nobody has makes it no slower.
CREATE INDEX password_resets_of_users ON freehold.password_resets (created_at) WHERE user_id IS NOT NULL;

REVOKE ALL ON freehold.password_resets FROM PUBLIC;
