-- For apps that run as processes: secrets that are made once per tenant, and what lies in the tenant's writable folder. Both are closed to the app role: it
-- finds the secrets in its environment, and the folder in its sandbox.

CREATE TABLE freehold.app_secrets (
  name    text PRIMARY KEY CHECK (name ~ '^[A-Za-z][A-Za-z0-9_.-]{0,63}$'),
  -- 256 random bits, base64url.
  value   text NOT NULL CHECK (value ~ '^[A-Za-z0-9_-]{43}$'),
  made_at timestamptz NOT NULL DEFAULT now()
);

-- One row per path below the folder, as it was when it was kept last. Contents lie where those of freehold.files do.
CREATE TABLE freehold.app_folder (
  -- Relative, parts apart by `/`; none of them is empty, `.` or `..`.
  path        text COLLATE "C" PRIMARY KEY CHECK (octet_length(path) BETWEEN 1 AND 4095 AND path !~ '(^|/)(\.{0,2})(/|$)'),
  kind        text NOT NULL CHECK (kind IN ('file', 'folder', 'link')),
  -- Permissions alone: nothing is set-uid, and everything belongs to the tenant's own user.
  mode        integer NOT NULL CHECK (mode BETWEEN 0 AND 511),
  size_bytes  bigint CHECK (size_bytes >= 0),
  sha256      bytea CHECK (octet_length(sha256) = 32),
  -- Kept as text; never followed.
  link_target text CHECK (octet_length(link_target) BETWEEN 1 AND 4095),
  mtime       timestamptz NOT NULL,
  -- Since when the row is as it is.
  kept_at     timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind = 'file') = (size_bytes IS NOT NULL) AND (kind = 'file') = (sha256 IS NOT NULL) AND (kind = 'link') = (link_target IS NOT NULL))
);

CREATE INDEX app_folder_sha256 ON freehold.app_folder (sha256);

-- Every content that is in use, once per use: whoever removes, copies, counts or checks contents asks here.
CREATE VIEW freehold.contents AS
  SELECT sha256, size_bytes, created_at FROM freehold.files
  UNION ALL
  SELECT sha256, size_bytes, kept_at FROM freehold.app_folder WHERE kind = 'file';
