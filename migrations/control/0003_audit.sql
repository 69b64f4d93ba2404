-- Security events of the installation. Rows are added, never changed and never removed.

CREATE TABLE audit_events (
  position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id    text NOT NULL UNIQUE CHECK (event_id ~ '^aud_[0-9a-hjkmnp-tv-z]{26}$'),
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  name        text NOT NULL,
  actor       text NOT NULL,
  subject     text NOT NULL,
  tenant_id   text,
  address     text,
  details     jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, position DESC);
CREATE INDEX audit_events_by_name ON audit_events (name, position DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER deletion_certificates_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON deletion_certificates
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
