-- Names of users as they were last seen, so that an item can still name somebody who left. The platform owns the users themselves.
CREATE TABLE people (
  user_id text PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL
);

CREATE TABLE projects (
  project_id text PRIMARY KEY,
  key text COLLATE "C" NOT NULL UNIQUE CHECK (key ~ '^[A-Z]{2,6}$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 10000),
  archived boolean NOT NULL DEFAULT false,
  -- Number of the newest item. Taken by UPDATE … RETURNING in the transaction that makes the item: no number is lost or given twice.
  last_number integer NOT NULL DEFAULT 0,
  version integer NOT NULL DEFAULT 1,
  import_id text,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  updated_at timestamptz NOT NULL,
  updated_by text NOT NULL
);

-- array_to_string and to_tsvector together are immutable for text[]; PostgreSQL cannot know that array_to_string is, hence the function.
CREATE FUNCTION item_search(title text, tags text[], requester_name text, requester_email text, reference text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Titles and names also word by word: "The Who" is nothing but stop words in English, and names have no forms.
  SELECT setweight(to_tsvector('pg_catalog.english', title), 'A')
    || setweight(to_tsvector('pg_catalog.simple', title), 'A')
    || setweight(to_tsvector('pg_catalog.english', array_to_string(tags, ' ')), 'B')
    || setweight(to_tsvector('pg_catalog.simple', array_to_string(tags, ' ') || ' ' || coalesce(requester_name, '') || ' '
         || coalesce(requester_email, '') || ' ' || coalesce(reference, '')), 'B')
    || setweight(to_tsvector('pg_catalog.english', description), 'C')
$$;

CREATE TABLE items (
  item_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  number integer NOT NULL,
  type text NOT NULL CHECK (type IN ('task', 'bug', 'request', 'question', 'incident')),
  title text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 100000),
  state text NOT NULL CHECK (state IN ('backlog', 'todo', 'doing', 'review', 'done', 'closed')),
  priority text NOT NULL CHECK (priority IN ('urgent', 'high', 'normal', 'low')),
  urgency smallint NOT NULL GENERATED ALWAYS AS (CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'normal' THEN 2 ELSE 1 END) STORED,
  assignee_id text,
  tags text[] NOT NULL DEFAULT '{}',
  due_on date,
  requester_name text,
  requester_email text,
  reference text,
  -- Place in the board column (project_id, state), compared bytewise; see ranks.ts.
  rank text COLLATE "C" NOT NULL,
  -- Counts changes of content. A move inside the column and a comment do not count.
  version integer NOT NULL DEFAULT 1,
  import_id text,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  -- Of the last change or comment.
  updated_at timestamptz NOT NULL,
  updated_by text NOT NULL,
  finished_at timestamptz,
  search tsvector GENERATED ALWAYS AS (item_search(title, tags, requester_name, requester_email, reference, description)) STORED,
  UNIQUE (project_id, number),
  CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'closed')))
);
CREATE INDEX items_board ON items (project_id, state, rank, item_id);
CREATE INDEX items_updated ON items (updated_at, item_id);
CREATE INDEX items_created ON items (created_at, item_id);
CREATE INDEX items_open_assignee ON items (assignee_id) WHERE state NOT IN ('done', 'closed');
CREATE INDEX items_import ON items (import_id) WHERE import_id IS NOT NULL;
CREATE INDEX items_search ON items USING gin (search);
CREATE INDEX items_tags ON items USING gin (tags);

-- What happened to an item, never changed afterwards and gone only together with the item.
CREATE TABLE history (
  history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item_id text NOT NULL REFERENCES items ON DELETE CASCADE,
  at timestamptz NOT NULL,
  by text NOT NULL,
  action text NOT NULL CHECK (action IN ('created', 'imported', 'changed', 'comment_deleted', 'attachment_added', 'attachment_deleted')),
  changes jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX history_item ON history (item_id, history_id);

CREATE FUNCTION refuse_history_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A cascade runs after the item is gone; anything else would rewrite the past.
  IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM items WHERE items.item_id = OLD.item_id) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'history is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER history_append_only BEFORE UPDATE OR DELETE ON history FOR EACH ROW EXECUTE FUNCTION refuse_history_change();

-- That an item was deleted, without what was in it.
CREATE TABLE deleted_items (
  item_id text PRIMARY KEY,
  project_id text NOT NULL,
  number integer NOT NULL,
  deleted_at timestamptz NOT NULL,
  deleted_by text NOT NULL
);

CREATE TABLE comments (
  comment_id text PRIMARY KEY,
  item_id text NOT NULL REFERENCES items ON DELETE CASCADE,
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 50000),
  author_id text NOT NULL,
  created_at timestamptz NOT NULL,
  edited_at timestamptz,
  version integer NOT NULL DEFAULT 1
);
CREATE INDEX comments_item ON comments (item_id, created_at, comment_id);

CREATE TABLE attachments (
  attachment_id text PRIMARY KEY,
  item_id text NOT NULL REFERENCES items ON DELETE CASCADE,
  comment_id text REFERENCES comments ON DELETE CASCADE,
  file_id text NOT NULL,
  name text NOT NULL,
  media_type text NOT NULL,
  size_bytes bigint NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL
);
CREATE INDEX attachments_item ON attachments (item_id, created_at);
CREATE INDEX attachments_comment ON attachments (comment_id) WHERE comment_id IS NOT NULL;

-- Files nobody refers to any more. Written in the transaction that drops the reference, so that a crash before the removal forgets none.
CREATE TABLE unused_files (
  file_id text PRIMARY KEY,
  -- Not before: somebody may still be reading it.
  due_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
