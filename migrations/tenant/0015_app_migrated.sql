-- For apps that run as processes: the content (SHA-256) of the version whose `migrate` this database has seen last. It goes along with restores, so that an
-- older database is migrated again.
CREATE TABLE freehold.app_migrated (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  digest  text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  at      timestamptz NOT NULL
);
