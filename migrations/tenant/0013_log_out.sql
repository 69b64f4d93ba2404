-- Single log-out of SAML (docs/decisions/0030): what a provider calls a session is known from the sign-in on, through the second step too.

-- Namespaces of the name, as the provider gave them: it looks for exactly this name when it is asked to sign out.
ALTER TABLE freehold.sign_on_sessions
  ADD COLUMN name_qualifier    text CHECK (octet_length(name_qualifier) <= 1200),
  ADD COLUMN sp_name_qualifier text CHECK (octet_length(sp_name_qualifier) <= 1200);

-- Of the provider over which somebody came whose second step is awaited here; null: the password was right. The same as in sign_on_sessions.
ALTER TABLE freehold.sign_in_challenges
  ADD COLUMN connection_id     text REFERENCES freehold.sign_on_connections ON DELETE CASCADE,
  ADD COLUMN subject           text CHECK (octet_length(subject) <= 1200),
  ADD COLUMN session_index     text CHECK (octet_length(session_index) <= 1000),
  ADD COLUMN name_qualifier    text CHECK (octet_length(name_qualifier) <= 1200),
  ADD COLUMN sp_name_qualifier text CHECK (octet_length(sp_name_qualifier) <= 1200),
  ADD CHECK ((connection_id IS NULL) = (subject IS NULL));

CREATE INDEX sign_in_challenges_by_connection ON freehold.sign_in_challenges (connection_id, subject) WHERE connection_id IS NOT NULL;
