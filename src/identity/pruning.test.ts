import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { createPruning } from './pruning.ts';
import { createTwins, startTwoTenants, type TestTenant, type TwoTenants } from './two-tenants.fixture.ts';

let two: TwoTenants;
let userId: string;
before(async () => {
  two = await startTwoTenants();
  userId = await createTwins(two, 'holder@example.com');
});
after(() => two?.stop());

const query = (tenant: TestTenant, text: string, values: readonly unknown[] = []) =>
  two.databases.platform.transact(tenant.tenantId, (db) => db.query<{ kept: string }>(text, values as unknown[]));

/** By table: a row for each of these moments of its end, in hours from now; those of the second list stay. `$1` is the hash, `$2` the moment, `$3` the user. */
const cases: Record<string, { insert: string; over: readonly number[]; stays: readonly number[]; mark: string }> = {
  sign_on_requests: {
    insert: `INSERT INTO freehold.sign_on_requests (state_hash, browser_hash, connection_id, next_path, expires_at)
      SELECT $1, $1, connection_id, '/', $2::timestamptz FROM freehold.sign_on_connections WHERE $3::text IS NOT NULL`,
    over: [-1, -1_000],
    stays: [0.1],
    mark: 'expires_at',
  },
  saml_messages: {
    insert: `INSERT INTO freehold.saml_messages (message_hash, expires_at) SELECT $1, $2::timestamptz WHERE $3::text IS NOT NULL`,
    over: [-1],
    stays: [0.1, 24],
    mark: 'expires_at',
  },
  sign_in_challenges: {
    insert: `INSERT INTO freehold.sign_in_challenges (token_hash, user_id, user_epoch, known_device, expires_at) VALUES ($1, $3, 1, false, $2::timestamptz)`,
    over: [-0.1],
    stays: [0.05],
    mark: 'expires_at',
  },
  passkey_challenges: {
    insert: `INSERT INTO freehold.passkey_challenges (challenge_hash, bound_to, purpose, user_id, user_epoch, rp_id, origin, expires_at)
      VALUES ($1, $1, 'confirm', $3, 1, 'x', 'https://x', $2::timestamptz)`,
    over: [-0.1],
    stays: [0.05],
    mark: 'expires_at',
  },
  password_resets: {
    insert: `INSERT INTO freehold.password_resets (token_hash, user_id, user_epoch, known_device, created_at, expires_at)
      VALUES ($1, $3, 1, false, $2::timestamptz, $2::timestamptz + interval '15 minutes')`,
    over: [-1.1, -50],
    stays: [-0.9, 0],
    mark: 'created_at',
  },
  sessions: {
    insert: `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
      VALUES ('ses_' || substr(encode($1, 'hex'), 1, 26), $1, $3, 1, $2::timestamptz + interval '1 day', $2::timestamptz)`,
    over: [-1],
    stays: [1],
    mark: 'idle_expires_at',
  },
  provider_codes: {
    insert: `INSERT INTO freehold.provider_codes (code_hash, session_id, client_id, redirect_uri, code_challenge, scope, expires_at)
      SELECT $1, session_id, 'wiki', 'https://x/', repeat('c', 43), 'openid', $2::timestamptz FROM freehold.sessions WHERE idle_expires_at > now() LIMIT 1`,
    over: [-1.1],
    stays: [-0.9, 0.01],
    mark: 'expires_at',
  },
  provider_access_tokens: {
    insert: `INSERT INTO freehold.provider_access_tokens (token_hash, code_hash, session_id, scope, expires_at)
      SELECT $1, $1, session_id, 'openid', $2::timestamptz FROM freehold.sessions WHERE idle_expires_at > now() LIMIT 1`,
    over: [-0.1],
    stays: [0.1],
    mark: 'expires_at',
  },
  session_notices: {
    insert: `INSERT INTO freehold.session_notices (session_id, user_id, reason, ended_at, seen_at)
      VALUES ('ses_' || substr(encode($1, 'hex'), 1, 26), $3, 'key_reused', $2::timestamptz, $2::timestamptz)`,
    over: [-31 * 24],
    stays: [-29 * 24, 0],
    mark: 'ended_at',
  },
  invitations: {
    insert: `INSERT INTO freehold.invitations (invitation_id, token_hash, email, email_key, role, invited_by, expires_at)
      VALUES ('inv_' || substr(encode($1, 'hex'), 1, 26), $1, encode($1, 'hex'), encode($1, 'hex'), 'member', $3, $2::timestamptz)`,
    over: [-31 * 24],
    stays: [-29 * 24, 1],
    mark: 'expires_at',
  },
  api_tokens: {
    insert: `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, created_at, expires_at)
      VALUES ('tok_' || substr(encode($1, 'hex'), 1, 26), $1, $3, 'x', 'read', $2::timestamptz - interval '1 day', $2::timestamptz)`,
    over: [-31 * 24],
    stays: [-29 * 24, 1],
    mark: 'expires_at',
  },
  scim_tokens: {
    insert: `INSERT INTO freehold.scim_tokens (token_id, token_hash, name, created_by, by_owner, created_at, expires_at)
      VALUES ('sct_' || substr(encode($1, 'hex'), 1, 26), $1, 'x', $3, false, $2::timestamptz - interval '1 day', $2::timestamptz)`,
    over: [-31 * 24],
    stays: [-29 * 24, 1],
    mark: 'expires_at',
  },
  known_devices: {
    insert: `INSERT INTO freehold.known_devices (token_hash, user_id, last_used_at) VALUES ($1, $3, $2::timestamptz)`,
    over: [-401 * 24],
    stays: [-399 * 24],
    mark: 'last_used_at',
  },
  sign_in_failures: {
    insert: `INSERT INTO freehold.sign_in_failures (scope, subject, failures, consecutive, expires_at)
      SELECT 'range', $1, 1, 1, $2::timestamptz WHERE $3::text IS NOT NULL`,
    over: [-31 * 24],
    stays: [-29 * 24],
    mark: 'expires_at',
  },
};

test('what is over goes, and nothing else, at one tenant', async () => {
  const connection = `INSERT INTO freehold.sign_on_connections (connection_id, kind, name, state, settings) VALUES ($1, 'oidc', 'Works', 'on', '{}')`;
  const connectionId = newId('con');
  let number = 0;
  for (const tenant of [two.a, two.b]) {
    await query(tenant, connection, [connectionId]);
    for (const { insert, over, stays } of Object.values(cases))
      for (const hours of [...over, ...stays])
        await query(
          tenant,
          insert
            .replaceAll('$1', `sha256('${++number}')`)
            .replaceAll('$2', `(now() + interval '1 hour' * ${hours})`)
            .replaceAll('$3', `'${userId}'`),
        );
  }
  // Unseen, from long ago.
  await query(
    two.a,
    `INSERT INTO freehold.session_notices (session_id, user_id, reason, ended_at) VALUES
       ('ses_' || repeat('1', 26), $1, 'key_reused', now() - interval '365 days'), ('ses_' || repeat('2', 26), $1, 'key_reused', now() - interval '367 days')`,
    [userId],
  );
  const pruning = createPruning(two.databases);
  const removed = await pruning.pruneOneTimeRows(two.a.tenantId);
  const expected = Object.fromEntries(Object.entries(cases).map(([table, { over }]) => [table, over.length]));
  assert.deepEqual({ ...removed }, { ...expected, session_notices: 2 });
  for (const [table, { stays, over }] of Object.entries(cases)) {
    const rows = async (tenant: TestTenant) => (await query(tenant, `SELECT 1 FROM freehold.${table}`)).length;
    assert.equal(await rows(two.a), stays.length + (table === 'session_notices' ? 1 : 0), table);
    assert.equal(await rows(two.b), stays.length + over.length, `${table} of the other tenant`);
  }
  assert.deepEqual(await pruning.pruneOneTimeRows(two.a.tenantId), {});
});

test('more than one batch goes in several transactions, rows in use are left alone, and a stop is heeded', async () => {
  const fill = () =>
    query(
      two.b,
      `INSERT INTO freehold.saml_messages (message_hash, expires_at) SELECT sha256(('many' || n)::bytea), now() - interval '1 hour' FROM generate_series(1, 2500) n`,
    );
  await fill();
  const stopped = AbortSignal.abort();
  assert.deepEqual(await createPruning(two.databases).pruneOneTimeRows(two.b.tenantId, stopped), {});
  let transactions = 0;
  const counting = createPruning({
    platform: {
      ...two.databases.platform,
      transact: (tenantId, fn, options) => {
        transactions++;
        return two.databases.platform.transact(tenantId, fn, options);
      },
    },
  });
  await two.databases.platform.transact(two.b.tenantId, async (db) => {
    await db.query(`SELECT 1 FROM freehold.saml_messages WHERE message_hash = sha256('many7') FOR UPDATE`);
    const removed = await counting.pruneOneTimeRows(two.b.tenantId);
    // And the one that was over before.
    assert.equal(removed.saml_messages, 2_500);
    assert.ok(transactions >= 3, `${transactions}`);
  });
  assert.equal((await createPruning(two.databases).pruneOneTimeRows(two.b.tenantId)).saml_messages, 1);
});
