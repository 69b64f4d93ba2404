-- Places that the tenant's data may be in, each with everything inside it (`eu` holds `eu-de`); `copies`: what lies in the regions.
ALTER TABLE tenants
  ADD COLUMN residency text[] CHECK (cardinality(residency) > 0),
  ADD COLUMN residency_copies text[] CHECK (cardinality(residency_copies) > 0),
  ADD CHECK ((residency IS NULL) = (residency_copies IS NULL));
