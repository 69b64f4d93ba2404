-- A link that the operator made for somebody who lost password and second factor: whoever uses it chooses a password, and every second factor goes.
ALTER TABLE freehold.password_resets ADD COLUMN removes_factors boolean NOT NULL DEFAULT false;
