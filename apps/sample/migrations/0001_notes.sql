-- Runs once per tenant, as the tenant's app role, in the schema `app`.
CREATE TABLE notes (
  note_id    text PRIMARY KEY,
  text       text NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
  file_id    text,
  author_id  text NOT NULL,
  created_at timestamptz NOT NULL
);

CREATE INDEX notes_created_at ON notes (created_at DESC);
