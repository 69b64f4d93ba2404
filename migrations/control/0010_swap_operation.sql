-- Two tenants exchange their names: a restored one takes the place of the old one, and back.
ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'swap', 'clone', 'export', 'import', 'restore', 'delete'));
