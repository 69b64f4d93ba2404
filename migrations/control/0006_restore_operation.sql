-- A restore makes a new tenant from an earlier moment of another one.
ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'clone', 'export', 'import', 'restore', 'delete'));
