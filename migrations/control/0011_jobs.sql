-- Work that recurs: when each job last ran and how it ended. The schedule survives restarts by it, and what has stopped is noticed by it.
CREATE TABLE jobs (
  job          text PRIMARY KEY,
  known_since  timestamptz NOT NULL,
  -- NULL: not yet.
  started_at   timestamptz,
  succeeded_at timestamptz,
  failed_at    timestamptz,
  -- Of the last failure: {"code", "text"}.
  error        jsonb
);
