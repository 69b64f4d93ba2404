-- Browsers in which members signed in with both factors: whoever guesses elsewhere does not keep a member out of them (docs/decisions/0028).
CREATE TABLE staff_known_devices (
  -- SHA-256 of the token in the browser's cookie.
  token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  -- Several members may share a browser.
  staff_id     text NOT NULL REFERENCES staff ON DELETE CASCADE,
  last_used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (token_hash, staff_id)
);

CREATE INDEX staff_known_devices_by_staff ON staff_known_devices (staff_id);

-- Begun in such a browser.
ALTER TABLE staff_sign_in_challenges ADD COLUMN known_device boolean NOT NULL DEFAULT false;
