-- How much of a tenant's work may be lost with the primary: what was committed within the last second, or nothing.
ALTER TABLE tenants ADD COLUMN recovery_point text NOT NULL DEFAULT 'second'
  CHECK (recovery_point IN ('second', 'zero'));
ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'swap', 'set', 'clone', 'export', 'import', 'restore', 'delete', 'destroy'));
