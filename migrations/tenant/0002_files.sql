-- Files of the tenant: what they are called and what they contain. The bytes lie sealed in the object store, under a name
-- computed from the tenant's files key and sha256, so that a copied database (clone, import) needs no row rewritten.
-- Belongs to the platform role; the app role reaches files only through the platform.

CREATE TABLE freehold.files (
  file_id    text PRIMARY KEY CHECK (file_id ~ '^fil_[0-9a-hjkmnp-tv-z]{26}$'),
  name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255),
  media_type text NOT NULL CHECK (octet_length(media_type) BETWEEN 3 AND 127),
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
  sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
  created_at timestamptz NOT NULL,
  -- Who put it there: a user id, or `system`. No reference: a file outlives its user.
  created_by text NOT NULL
);

-- Finds whether content is still in use, for the sweep.
CREATE INDEX files_sha256 ON freehold.files (sha256);
