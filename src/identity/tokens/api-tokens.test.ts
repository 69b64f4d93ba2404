import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { armFailpoints, type Clock, redact, silentLog, systemClock } from '#src/kernel/index.ts';
import {
  createTwins,
  goodPassword,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { stripClone } from '../users/lifecycle.ts';
import { apiTokenPattern, hashApiToken, newApiToken } from './api-token.ts';
import { createApiTokenCheck } from './api-token-check.ts';
import { apiTokenLimits } from './api-tokens.ts';

let two: TwoTenants;
before(async () => {
  two = await startTwoTenants();
});
after(() => two?.stop());
afterEach(() => armFailpoints(''));

let serial = 0;
let email: string;
let userId: string;
beforeEach(async () => {
  email = `holder${++serial}@example.com`;
  userId = await createTwins(two, email);
  two.mail.length = 0;
});

const caller = { address: '192.0.2.77', userAgent: 'report/2.1' };
const query = (tenant: TestTenant, text: string, values?: unknown[]) =>
  two.databases.platform.transact(tenant.tenantId, (db) => db.query<Record<string, unknown>>(text, values));
const signIn = async (tenant = two.a) => {
  const { session } = await two.identity.signIn(tenant.tenantId, { email, password: goodPassword }, caller);
  assert.ok(session);
  return { session: session as Session, address: '192.0.2.1' };
};
const order = { name: 'Nightly report', scope: 'read', password: goodPassword } as const;
const create = async (more: Partial<Parameters<typeof two.identity.createApiToken>[2]> = {}, tenant = two.a) =>
  two.identity.createApiToken(tenant.tenantId, await signIn(tenant), { ...order, ...more }, caller);
const check = (token: string, tenant = two.a) =>
  two.identity.checkApiToken(tenant.tenantId, hashApiToken(token)!, caller);

test('a token acts as its user, with the role of the moment, at its own tenant only', async () => {
  const { token, tokenId } = await create({ scope: 'write' });
  assert.match(token, apiTokenPattern);
  const use = await check(token);
  assert.deepEqual(use && { ...use, expiresAt: undefined }, {
    tokenId,
    scope: 'write',
    user: { userId, email, name: 'Twin', role: 'member' },
    expiresAt: undefined,
  });
  assert.equal(await check(token, two.b), undefined);
  assert.equal(await two.identity.isApiTokenLive(two.b.tenantId, tokenId), false);
  await query(two.a, `UPDATE freehold.users SET role = 'admin', epoch = epoch + 1 WHERE user_id = $1`, [userId]);
  assert.equal((await check(token))?.user.role, 'admin', 'another role ends sessions, not tokens');
  assert.equal(await two.identity.isApiTokenLive(two.a.tenantId, tokenId), true);
});

test('what is over is not told from what never was', async () => {
  const answers: unknown[] = [await check(newApiToken())];
  const expired = await create();
  await query(two.a, `UPDATE freehold.api_tokens SET expires_at = now() WHERE token_id = $1`, [expired.tokenId]);
  answers.push(await check(expired.token));
  assert.equal(await two.identity.isApiTokenLive(two.a.tenantId, expired.tokenId), false);
  const revoked = await create();
  await two.identity.revokeApiToken(two.a.tenantId, await signIn(), revoked.tokenId);
  answers.push(await check(revoked.token));
  const ofDisabled = await create();
  // Only the state: without the product, which would remove the token as well.
  await query(two.a, `UPDATE freehold.users SET state = 'disabled' WHERE user_id = $1`, [userId]);
  answers.push(await check(ofDisabled.token));
  assert.deepEqual(answers, [undefined, undefined, undefined, undefined]);
  assert.equal(await two.identity.isApiTokenLive(two.a.tenantId, ofDisabled.tokenId), false);
});

test('a new password, a disabled user and, if asked, signing out everywhere revoke tokens; another role does not', async () => {
  const newPassword = 'nineteen amber pianos hum';
  const olga = `olga${serial}@example.com`;
  await createTwins(two, olga, { role: 'owner' });
  const owner = {
    session: (await two.identity.signIn(two.a.tenantId, { email: olga, password: goodPassword }, caller))
      .session as Session,
  };
  const { tenantId, route } = two.a;
  const ends: Record<string, { act: () => Promise<unknown>; revokes: boolean; event: string }> = {
    'signing out everywhere': {
      act: async () => two.identity.signOutEverywhere(tenantId, await signIn()),
      revokes: false,
      event: 'session.all_ended',
    },
    'signing out everywhere and revoking': {
      act: async () => two.identity.signOutEverywhere(tenantId, await signIn(), { tokens: true }),
      revokes: true,
      event: 'session.all_ended',
    },
    'another role': {
      act: () => two.identity.setRole(tenantId, owner, userId, 'admin'),
      revokes: false,
      event: 'user.role_changed',
    },
    disabling: {
      act: async () => {
        await two.identity.setUserState(tenantId, owner, userId, 'disabled');
        await two.identity.setUserState(tenantId, owner, userId, 'active');
      },
      revokes: true,
      event: 'user.disabled',
    },
    'a new password': {
      act: async () =>
        two.identity.changePassword(
          tenantId,
          await signIn(),
          route,
          { currentPassword: goodPassword, newPassword },
          caller,
        ),
      revokes: true,
      event: 'user.password_changed',
    },
  };
  for (const [what, { act, revokes, event }] of Object.entries(ends)) {
    const { token } = await create();
    const inB = await create({}, two.b);
    await act();
    assert.equal((await check(token)) === undefined, revokes, what);
    assert.ok(await check(inB.token, two.b), what);
    const [row] = await query(
      two.a,
      `SELECT details->'tokens' AS tokens FROM freehold.audit_events WHERE name = $1 ORDER BY position DESC LIMIT 1`,
      [event],
    );
    if (event !== 'user.role_changed') assert.equal(Number(row!.tokens) > 0, revokes, what);
  }
});

test('a link for a new password revokes tokens as well', async () => {
  const { token } = await create();
  await two.identity.requestReset(two.a.tenantId, email, caller);
  await two.identity.settle();
  const link = two.mail.find(({ kind }) => kind === 'password_reset');
  assert.ok(link && 'token' in link);
  const reset = { token: link.token, password: 'nineteen amber pianos hum' };
  await two.identity.completeReset(two.a.tenantId, two.a.route, reset, caller);
  assert.equal(await check(token), undefined);
});

test('making one takes the password, again; the user is told by mail and in the security log', async () => {
  await assert.rejects(create({ password: 'seven purple lanterns drown' }), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(create({ name: ' ' }), { code: 'FH_NAME_REFUSED' });
  const made = await create({ name: ' Nightly  report ', scope: 'read' });
  await two.identity.settle();
  assert.deepEqual(
    two.mail.filter(({ kind }) => kind === 'api_token_created').map(({ tenantId, to }) => [tenantId, to]),
    [[two.a.tenantId, email]],
  );
  const actor = await signIn();
  const [listed] = await two.identity.listApiTokens(two.a.tenantId, actor);
  assert.deepEqual(
    [listed!.tokenId, listed!.name, listed!.scope, listed!.lastUsedAt, listed!.expired],
    [made.tokenId, 'Nightly report', 'read', null, false],
  );
  assert.equal(listed!.expiresAt.getTime() - listed!.createdAt.getTime(), apiTokenLimits.defaultDays * 86_400_000);
  await two.identity.revokeApiToken(two.a.tenantId, actor, made.tokenId);
  await assert.rejects(two.identity.revokeApiToken(two.a.tenantId, actor, made.tokenId), {
    code: 'FH_TOKEN_NOT_FOUND',
  });
  const { events } = await two.identity.listAuditEvents(two.a.tenantId, { limit: 200 });
  const own = events.filter(({ subject, name }) => subject === userId && name.startsWith('token.'));
  assert.deepEqual(
    own.map(({ name, actor: who, details }) => [name, who, details?.tokenId]),
    [
      ['token.revoked', `user:${userId}`, made.tokenId],
      ['token.created', `user:${userId}`, made.tokenId],
      ['token.refused', `user:${userId}`, undefined],
    ],
  );
});

test('wrong passwords are limited as they are where a password is changed', async () => {
  for (let at = 0; at <= 5; at++)
    await assert.rejects(create({ password: `wrong ${at} wrong wrong wrong` }), { code: 'FH_PASSWORD_WRONG' });
  // The first wait is a second; what comes next on a slow machine would come after it.
  await query(
    two.a,
    `UPDATE freehold.sign_in_failures SET blocked_until = now() + interval '10 minutes' WHERE blocked_until IS NOT NULL`,
  );
  await assert.rejects(create(), { code: 'FH_SIGN_IN_THROTTLED' });
  await query(two.a, 'DELETE FROM freehold.sign_in_failures');
});

test('twenty are good at a time, also when several are made at once; expired ones do not count', async () => {
  const insert = (count: number, expires: string) =>
    query(
      two.a,
      `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, created_at, expires_at)
       SELECT 'tok_' || substr(translate(md5(random()::text), 'ilou', '0000'), 1, 26), sha256(random()::text::bytea), $1, 'x', 'read',
         now() - interval '40 days', ${expires}
       FROM generate_series(1, ${count})`,
      [userId],
    );
  await insert(5, `now() - interval '1 day'`);
  await insert(5, `now() - interval '31 days'`);
  await insert(apiTokenLimits.liveOfUser - 2, `now() + interval '1 day'`);
  const actor = await signIn();
  const made = await Promise.allSettled(
    Array.from({ length: 5 }, () => two.identity.createApiToken(two.a.tenantId, actor, order, caller)),
  );
  const refused = made.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []));
  assert.deepEqual(refused, ['FH_TOKEN_LIMIT', 'FH_TOKEN_LIMIT', 'FH_TOKEN_LIMIT']);
  const listed = await two.identity.listApiTokens(two.a.tenantId, actor);
  assert.equal(listed.filter(({ expired }) => !expired).length, apiTokenLimits.liveOfUser);
  assert.equal(listed.filter(({ expired }) => expired).length, 5, 'those that expired long ago are gone');
});

test('administrators see and revoke the tokens of all; an owner’s are for owners', async () => {
  const people: Record<string, { session: Session }> = {};
  const ids: Record<string, string> = {};
  const { tenantId } = two.a;
  for (const role of ['owner', 'admin', 'member'] as const) {
    const address = `${role}-${serial}@example.com`;
    await createTwins(two, address, { role });
    const { session } = await two.identity.signIn(tenantId, { email: address, password: goodPassword }, caller);
    people[role] = { session: session as Session };
    ids[role] = (await two.identity.createApiToken(tenantId, people[role], order, caller)).tokenId;
  }
  const { owner, admin, member } = people as Record<'owner' | 'admin' | 'member', { session: Session }>;
  await assert.rejects(two.identity.listAllApiTokens(tenantId, member), { code: 'FH_ROLE_REQUIRED' });
  const all = (await two.identity.listAllApiTokens(tenantId, admin)).map(({ tokenId }) => tokenId);
  for (const id of Object.values(ids)) assert.ok(all.includes(id as never));
  assert.deepEqual(
    (await two.identity.listApiTokens(tenantId, member)).map(({ tokenId }) => tokenId),
    [ids.member],
  );
  await assert.rejects(two.identity.revokeApiToken(tenantId, member, ids.admin!), { code: 'FH_TOKEN_NOT_FOUND' });
  await assert.rejects(two.identity.revokeAnyApiToken(tenantId, member, ids.member!), { code: 'FH_ROLE_REQUIRED' });
  await assert.rejects(two.identity.revokeAnyApiToken(tenantId, admin, ids.owner!), { code: 'FH_ROLE_REQUIRED' });
  await assert.rejects(two.identity.revokeAnyApiToken(tenantId, admin, `tok_${'0'.repeat(26)}`), {
    code: 'FH_TOKEN_NOT_FOUND',
  });
  for (const [who, id] of [
    [admin, ids.member],
    [owner, ids.admin],
    [owner, ids.owner],
  ] as const) {
    await two.identity.revokeAnyApiToken(tenantId, who, id!);
    assert.equal(await two.identity.isApiTokenLive(tenantId, id!), false);
  }
});

test('the last use is noted to the minute, with its network, once an hour', async () => {
  const { token, tokenId } = await create();
  const lastUse = async () => {
    const [row] = await query(
      two.a,
      `SELECT last_used_at, last_used_range, last_used_agent, xmin::text AS version FROM freehold.api_tokens WHERE token_id = $1`,
      [tokenId],
    );
    return row!;
  };
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const deps = { databases: two.databases, clock, log: silentLog };
  const workers = [createApiTokenCheck(deps), createApiTokenCheck(deps)];
  const use = async (address = caller.address) => {
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        workers[at % 2]!.checkApiToken(two.a.tenantId, hashApiToken(token)!, { ...caller, address }),
      ),
    );
    for (const worker of workers) await worker.settleApiTokens();
  };
  assert.equal((await lastUse()).last_used_at, null);
  await use();
  const first = await lastUse();
  assert.deepEqual([first.last_used_range, first.last_used_agent], ['192.0.2.0/24', 'report/2.1']);
  assert.equal((first.last_used_at as Date).getTime() % 60_000, 0);
  await use('198.51.100.9');
  assert.deepEqual(await lastUse(), first, 'nothing was written');
  aheadMs = 3_600_000;
  await query(
    two.a,
    `UPDATE freehold.api_tokens SET last_used_at = now() - interval '61 minutes' WHERE token_id = $1`,
    [tokenId],
  );
  await use('2001:db8:1:2:3::4');
  assert.equal((await lastUse()).last_used_range, '2001:db8:1:2::/64');
});

test('after the answer to a revocation no request succeeds, however many are under way', async () => {
  const actor = await signIn();
  for (let round = 0; round < 5; round++) {
    const { token, tokenId } = await two.identity.createApiToken(two.a.tenantId, actor, order, caller);
    let isRevoked = false;
    const late: unknown[] = [];
    let good = 0;
    const uses = Array.from({ length: 100 }, async (_, at) => {
      // Begun one after the other, so that some come before, some during and some after the revocation.
      for (let waited = 0; waited < at % 25; waited++) await check(newApiToken());
      const beganAfter = isRevoked;
      const use = await check(token);
      if (use) good++;
      if (use && beganAfter) late.push(at);
    });
    const revocations = Array.from({ length: 20 }, async () => {
      const outcome = await two.identity.revokeApiToken(two.a.tenantId, actor, tokenId).then(
        () => 'revoked',
        ({ code }) => code,
      );
      isRevoked = true;
      return outcome;
    });
    const outcomes = await Promise.all(revocations);
    await Promise.all(uses);
    assert.deepEqual(late, []);
    assert.equal(await check(token), undefined);
    assert.equal(outcomes.filter((outcome) => outcome === 'revoked').length, 1, `${good} uses came before`);
    const [{ count }] = (await query(
      two.a,
      `SELECT count(*)::int AS count FROM freehold.audit_events WHERE name = 'token.revoked' AND details->>'tokenId' = $1`,
      [tokenId],
    )) as [{ count: number }];
    assert.equal(count, 1);
  }
});

test('a failure before the commit leaves no token and revokes none; after it, both stand', async () => {
  const actor = await signIn();
  const { tenantId } = two.a;
  const live = async () => (await two.identity.listApiTokens(tenantId, actor)).map(({ tokenId }) => tokenId);
  const make = () => two.identity.createApiToken(tenantId, actor, order, caller);
  armFailpoints('identity.token.create.before_commit=error');
  await assert.rejects(make());
  assert.deepEqual(await live(), []);
  armFailpoints('identity.token.created=error');
  await assert.rejects(make());
  const [tokenId] = await live();
  assert.ok(tokenId, 'nobody has seen it; it can be revoked');
  armFailpoints('identity.token.revoke.before_commit=error');
  await assert.rejects(two.identity.revokeApiToken(tenantId, actor, tokenId));
  assert.equal(await two.identity.isApiTokenLive(tenantId, tokenId), true);
  armFailpoints('identity.token.revoked=error');
  await assert.rejects(two.identity.revokeApiToken(tenantId, actor, tokenId));
  assert.deepEqual(await live(), []);
});

test('the text of a token is stored, logged, mailed and audited nowhere', async () => {
  const { token } = await create();
  await check(token);
  await two.identity.settle();
  const lines = JSON.stringify([
    // What a line would have, should somebody put the header, the address of a request or an error into it.
    redact({ authorization: `Bearer ${token}`, url: `/api/items?access_token=${token}`, other: token }),
    redact(new Error(`the header was Bearer ${token}`, { cause: token })),
  ]);
  const [tables] = await query(
    two.a,
    `SELECT (SELECT string_agg(t::text, ' ') FROM freehold.api_tokens t) || (SELECT string_agg(e::text, ' ') FROM freehold.audit_events e) AS all`,
  );
  for (const text of [lines, String(tables!.all), JSON.stringify(two.mail)]) {
    assert.ok(text.length > 20);
    assert.ok(!text.includes(token), text);
    assert.ok(!text.includes(token.slice(4, 34)), text);
  }
});

test('a clone has no tokens', async () => {
  const { token } = await create();
  await assert.rejects(
    two.databases.platform.transact(two.a.tenantId, async (db) => {
      await stripClone(db);
      assert.deepEqual(await db.query('SELECT token_id FROM freehold.api_tokens'), []);
      // The tenant itself is needed by other tests.
      throw new Error('enough');
    }),
    /enough/,
  );
  assert.ok(await check(token));
});
