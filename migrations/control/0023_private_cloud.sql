-- Tenants of the Private Cloud edition have a PostgreSQL server of their own (docs/decisions/0044): `main` is the one that all others share. The name of a server
-- is part of the names of its databases.

ALTER TABLE tenants ADD COLUMN cluster text NOT NULL DEFAULT 'main' CHECK (cluster = 'main' OR cluster ~ '^c[0-9a-hjkmnp-tv-z]{8}$');
ALTER TABLE tenants ADD CONSTRAINT tenants_private_cluster CHECK (cluster = 'main' OR edition = 'private-cloud');

CREATE INDEX tenants_by_cluster ON tenants (cluster) WHERE cluster <> 'main';

ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'swap', 'set', 'update', 'move', 'clone', 'export', 'import', 'restore', 'delete', 'destroy'));
