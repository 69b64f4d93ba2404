-- What a verification compared, as far as it came: tenants, tables, rows, canaries, the place in the WAL.
ALTER TABLE verifications ADD COLUMN checked jsonb NOT NULL DEFAULT '{}';

-- When a tenant's restored rows were last compared with the ledger and were right: who has waited longest is compared next.
CREATE TABLE verified_tenants (
  tenant_id   text PRIMARY KEY,
  verified_at timestamptz NOT NULL
);
