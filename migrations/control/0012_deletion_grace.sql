-- The key of a deleted tenant is kept for a grace period, in which the tenant can be restored; then `destroy` ends it.
-- NULL: the tenant is not deleted, or its key is destroyed.
ALTER TABLE tenants ADD COLUMN key_due_at timestamptz;
CREATE INDEX tenants_keys_due ON tenants (key_due_at) WHERE key_due_at IS NOT NULL;

ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations ADD CONSTRAINT operations_kind_check
  CHECK (kind IN ('create', 'suspend', 'resume', 'rename', 'swap', 'clone', 'export', 'import', 'restore', 'delete', 'destroy'));

-- A certificate that says that the key is kept is completed by another one. NULL: it is the one of the deletion itself.
ALTER TABLE deletion_certificates DROP CONSTRAINT deletion_certificates_tenant_id_key;
ALTER TABLE deletion_certificates ADD COLUMN completes text UNIQUE REFERENCES deletion_certificates;
CREATE UNIQUE INDEX deletion_certificates_by_tenant ON deletion_certificates (tenant_id, (completes IS NULL));
