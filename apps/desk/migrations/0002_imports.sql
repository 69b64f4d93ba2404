CREATE TABLE imports (
  import_id text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('uploaded', 'ready', 'running', 'interrupted', 'failed', 'cancelled', 'done', 'undone')),
  -- null: no longer needed and removed.
  file_id text,
  file_name text NOT NULL,
  size_bytes bigint NOT NULL,
  delimiter text NOT NULL,
  row_count integer NOT NULL,
  columns jsonb NOT NULL,
  sample jsonb NOT NULL,
  mapping jsonb NOT NULL,
  -- Which start this is. A run that was taken for dead and still lives finds another number here and gives up.
  run integer NOT NULL DEFAULT 0,
  phase text NOT NULL DEFAULT 'waiting' CHECK (phase IN ('waiting', 'reading', 'creating', 'finished')),
  done_rows integer NOT NULL DEFAULT 0,
  total_rows integer NOT NULL DEFAULT 0,
  refused_rows integer NOT NULL DEFAULT 0,
  -- Sign of life of the running import, by the server's clock.
  heartbeat_at timestamptz,
  result jsonb,
  undo jsonb,
  error jsonb,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  started_at timestamptz,
  finished_at timestamptz
);
CREATE INDEX imports_created ON imports (created_at, import_id);

-- Rows that were checked and wait to become items. Unlogged: after a crash of the server the import starts anew anyway.
CREATE UNLOGGED TABLE import_rows (
  import_id text NOT NULL,
  run integer NOT NULL,
  row_number integer NOT NULL,
  type text NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  state text NOT NULL,
  priority text NOT NULL,
  assignee_id text,
  tags text[] NOT NULL,
  due_on date,
  requester_name text,
  requester_email text,
  reference text,
  created_at timestamptz,
  PRIMARY KEY (import_id, run, row_number)
);

CREATE TABLE import_refusals (
  import_id text NOT NULL REFERENCES imports ON DELETE CASCADE,
  row_number integer NOT NULL,
  line integer NOT NULL,
  reason text NOT NULL,
  -- As they stand in the file, to be handed out for mending: a json array of texts, of any length.
  cells jsonb NOT NULL,
  PRIMARY KEY (import_id, row_number)
);
