-- PostgreSQL servers whose WAL and backups this installation keeps, and the regions it keeps them in. Backups carry the cluster's id in every name.

CREATE TABLE clusters (
  cluster_id text PRIMARY KEY CHECK (cluster_id ~ '^clu_[0-9a-hjkmnp-tv-z]{26}$'),
  name       text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL
);

-- A region is set up once, while it is empty; later an empty folder in its place is a disk that is not mounted.
CREATE TABLE regions (
  region    text PRIMARY KEY,
  set_up_at timestamptz NOT NULL
);
