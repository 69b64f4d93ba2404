-- Provisioning by SCIM 2.0 (docs/decisions/0031). Belongs to the platform role; the app role sees nothing of it.

-- Tokens with which a directory (Entra ID, Okta …) keeps users and groups. Kept as SHA-256: whoever reads this table holds none.
CREATE TABLE freehold.scim_tokens (
  token_id        text PRIMARY KEY CHECK (token_id ~ '^sct_[0-9a-hjkmnp-tv-z]{26}$'),
  token_hash      bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  -- No reference: the directory's work goes on when who set it up has left.
  created_by      text NOT NULL,
  -- Made by an owner: it may disable and enable owners, too.
  by_owner        boolean NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL CHECK (expires_at <= created_at + interval '8784 hours'),
  -- To the minute, at most once in five. Null: never.
  last_used_at    timestamptz,
  last_used_range text CHECK (char_length(last_used_range) <= 64),
  last_used_agent text CHECK (char_length(last_used_agent) <= 300)
);

-- What a directory calls a user of ours. No row: it has not touched this one.
CREATE TABLE freehold.scim_users (
  user_id       text PRIMARY KEY REFERENCES freehold.users ON DELETE CASCADE,
  external_id   text CHECK (char_length(external_id) BETWEEN 1 AND 1000),
  user_name     text NOT NULL CHECK (char_length(user_name) BETWEEN 1 AND 1000),
  -- As it is compared: NFC, lower case.
  user_name_key text NOT NULL UNIQUE,
  given_name    text CHECK (char_length(given_name) BETWEEN 1 AND 1000),
  family_name   text CHECK (char_length(family_name) BETWEEN 1 AND 1000),
  -- Not there for directories any more, while the user is disabled. The user and all that is theirs stays.
  deleted_at    timestamptz
);

CREATE INDEX scim_users_by_external_id ON freehold.scim_users (external_id);

CREATE TABLE freehold.scim_groups (
  group_id     text PRIMARY KEY CHECK (group_id ~ '^grp_[0-9a-hjkmnp-tv-z]{26}$'),
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 1000),
  external_id  text CHECK (char_length(external_id) BETWEEN 1 AND 1000),
  -- What administrators say its members are; never owner. Null: nothing.
  role         text CHECK (role IN ('admin', 'member')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  changed_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE freehold.scim_group_members (
  group_id text NOT NULL REFERENCES freehold.scim_groups ON DELETE CASCADE,
  user_id  text NOT NULL REFERENCES freehold.users ON DELETE CASCADE,
  PRIMARY KEY (group_id, user_id)
);

CREATE INDEX scim_group_members_by_user ON freehold.scim_group_members (user_id);

REVOKE ALL ON freehold.scim_tokens, freehold.scim_users, freehold.scim_groups, freehold.scim_group_members FROM PUBLIC;
