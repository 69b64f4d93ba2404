import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { FastifyInstance } from 'fastify';
import type { OpenedDump } from '#src/backups/index.ts';
import { migrate } from '#src/databases/index.ts';
import { backupRoutes, connectToBackups, createBackupsServer } from '#src/gateway/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { createDemoUser, createIdentity, type Identity, identityErrors, type Role } from '#src/identity/index.ts';
import { type Clock, newId, randomBytes, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { startTwoTenants, type TwoTenants } from '../../test/support/two-tenants.ts';
import { createTenantBackups } from './tenant-backups.ts';

const top = path.join(import.meta.dirname, '../..');
const password = 'seven purple lanterns drift';
const email = (role: Role) => `${role}@example.com`;
const stop: (() => Promise<unknown>)[] = [];
let cluster: TestCluster;
let pool: Pool;
let two: TwoTenants;
let identity: Identity;
let app: FastifyInstance;
/** Ahead of the machine's. */
let aheadMs = 0;
const cookies = new Map<string, string>();
/** What the dump of each tenant holds; an error: it breaks off. */
const contents = new Map<TenantId, string>();
let breaksOff = false;

before(async () => {
  cluster = await startTestCluster();
  stop.push(() => cluster.stop());
  await migrate(cluster.control, { schema: 'public', folder: path.join(top, 'migrations/control') });
  pool = createPool(cluster.control, { max: 2, applicationName: 'test control' });
  stop.push(() => pool.stop());
  two = await startTwoTenants();
  stop.push(() => two.stop());
  const cookieKeys = new Map<TenantId, Buffer>([
    [two.acme.tenantId, randomBytes(32)],
    [two.globex.tenantId, randomBytes(32)],
  ]);
  identity = createIdentity({
    databases: two.databases as Parameters<typeof createIdentity>[0]['databases'],
    cookieKeyOf: async (tenantId) => cookieKeys.get(tenantId)!,
    factorsKeyOf: async (tenantId) => cookieKeys.get(tenantId)!,
    log: silentLog,
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'fh-downloads-'));
  stop.push(() => rm(folder, { recursive: true }));
  const socketPath = path.join(folder, 'backups.sock');
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const port = createTenantBackups({
    places: {
      home: 'eu-de',
      regions: [
        { region: 'a', place: 'eu-nl' },
        { region: 'b', place: undefined },
      ],
    },
    dumps: { openNewest: async (tenantId) => openFake(tenantId) },
    baseBackups: { list: async () => ({ backups: [], away: [] }) },
    restorePoints: { restorePoints: async () => ({ now: '', regions: [], points: [] }) },
    db: pool,
    clock,
    log: silentLog,
  });
  const server = createBackupsServer({ socketPath, mode: 0o600, port, log: silentLog });
  await server.start();
  stop.push(() => server.stop());

  app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock });
  app.decorateRequest('tenant', null as never);
  app.decorateRequest('session', undefined);
  // What the gateway does: host → tenant, then the session, then the role where the route says so.
  app.addHook('onRequest', async (request) => {
    request.tenant = tenantOf(request.headers.host!);
    request.session = await identity.authenticate(request.tenant.tenantId, request.headers.cookie);
    const { roles } = request.routeOptions.config;
    if (roles && !roles.includes(request.session!.user.role)) throw identityErrors.FH_ROLE_REQUIRED();
  });
  await app.register(backupRoutes({ backups: connectToBackups({ socketPath }), identity }), { prefix: '/-/api' });
  await app.ready();
  stop.push(() => app.close());
  for (const tenant of [two.acme, two.globex]) {
    contents.set(tenant.tenantId, `PGDMP of ${tenant.name} `.repeat(20_000));
    for (const role of ['owner', 'admin', 'member'] as const)
      await two.databases.platform.transact(tenant.tenantId, (db) =>
        createDemoUser(db, { email: email(role), name: 'Ada', role, password }),
      );
    // The same ids at both, as in a copy of a tenant.
    await two.databases.platform.transact(tenant.tenantId, (db) =>
      db.query(
        `UPDATE freehold.users SET user_id = 'usr_' || repeat(CASE role WHEN 'owner' THEN '0' ELSE left(role, 1) END, 26)`,
      ),
    );
    for (const role of ['owner', 'admin', 'member'] as const) await signIn(tenant, role);
  }
});
after(async () => {
  for (const end of stop.reverse()) await end();
});

const tenantOf = (host: string): TenantRoute => [two.acme, two.globex].find((tenant) => tenant.host === host)!;

function openFake(tenantId: TenantId): OpenedDump & { contentBytes: number } {
  const bytes = Buffer.from(contents.get(tenantId)!);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 65_536) {
      if (breaksOff && at > 100_000) throw new Error('it is damaged here');
      yield bytes.subarray(at, at + 65_536);
    }
  }
  const header = { dumpId: newId('dmp'), madeAt: '2026-11-22T02:00:00.000Z', tenantId } as OpenedDump['header'];
  return { header, content: pieces() as OpenedDump['content'], contentBytes: bytes.length };
}

async function signIn(tenant: TenantRoute, role: Role): Promise<void> {
  const { setCookies } = await identity.signIn(tenant.tenantId, { email: email(role), password }, {
    address: '192.0.2.1',
  } as never);
  cookies.set(`${tenant.name} ${role}`, setCookies.map((line) => line.split(';')[0]).join('; '));
}

async function post(tenant: TenantRoute, role: Role, url: string, body: object) {
  const response = await app.inject({
    method: 'POST',
    url: `/-/api/backups/${url}`,
    headers: {
      host: tenant.host,
      cookie: cookies.get(`${tenant.name} ${role}`)!,
      'content-type': 'application/json',
    },
    payload: body,
  });
  const code = response.headers['content-type']?.includes('json') ? response.json().code : undefined;
  return {
    status: response.statusCode,
    headers: response.headers,
    bytes: response.rawPayload,
    text: response.body,
    code,
  };
}

async function confirm(tenant: TenantRoute, role: Role = 'owner'): Promise<string> {
  const answer = await post(tenant, role, 'confirmations', { password });
  assert.equal(answer.status, 201, answer.text);
  return JSON.parse(answer.text).confirmation;
}

/** Events of the tenant's own log since the last look. */
async function newEvents({ tenantId }: TenantRoute): Promise<string[]> {
  const { events } = await identity.listAuditEvents(tenantId, { limit: 50 });
  const fresh = events.filter(({ eventId, name }) => name.startsWith('backup.') && !seen.has(eventId));
  for (const { eventId } of events) seen.add(eventId);
  return fresh
    .map(({ name, details, actor }) => `${name} ${details?.reason ?? details?.form ?? ''} ${actor.slice(5, 11)}`.trim())
    .sort();
}
const seen = new Set<string>();

test('an owner confirms and downloads, once, as it is or to a recipient of age; both logs say so', async () => {
  const { acme } = two;
  const confirmation = await confirm(acme);
  const plain = await post(acme, 'owner', 'download', { confirmation });
  assert.equal(plain.status, 200, plain.text.slice(0, 300));
  assert.equal(plain.text, contents.get(acme.tenantId));
  assert.equal(plain.headers['content-disposition'], 'attachment; filename="acme-2026-11-22.dump"');
  assert.equal(plain.headers['cache-control'], 'no-store');
  assert.equal(plain.headers['content-length'], String(plain.bytes.length));
  assert.deepEqual(await newEvents(acme), ['backup.download_confirmed  usr_00', 'backup.downloaded plain usr_00']);

  const again = await post(acme, 'owner', 'download', { confirmation });
  assert.deepEqual([again.status, again.code], [403, 'FH_DOWNLOAD_NOT_CONFIRMED']);

  const secret = await generateX25519Identity();
  const recipient = await identityToRecipient(secret);
  const sealed = await post(acme, 'owner', 'download', { confirmation: await confirm(acme), recipient });
  const decrypter = new Decrypter();
  decrypter.addIdentity(secret);
  assert.equal(Buffer.from(await decrypter.decrypt(sealed.bytes)).toString(), contents.get(acme.tenantId));
  assert.match(String(sealed.headers['content-disposition']), /acme-2026-11-22\.dump\.age"/);
  assert.deepEqual(await newEvents(acme), [
    'backup.download_confirmed  usr_00',
    'backup.download_refused FH_DOWNLOAD_NOT_CONFIRMED usr_00',
    'backup.downloaded age usr_00',
  ]);
  const rows = await pool.query(`SELECT 1 FROM audit_events WHERE name = 'backup.downloaded' AND tenant_id = $1`, [
    acme.tenantId,
  ]);
  assert.equal(rows.length, 2);
});

test('a recipient that is none is refused before the confirmation is used', async () => {
  const { acme } = two;
  const confirmation = await confirm(acme);
  for (const recipient of ['age1nonsense', await generateX25519Identity()]) {
    const refused = await post(acme, 'owner', 'download', { confirmation, recipient });
    assert.deepEqual([refused.status, refused.code], [422, 'FH_KEY_AGE_RECIPIENT']);
  }
  assert.equal((await post(acme, 'owner', 'download', { confirmation })).status, 200);
  await newEvents(acme);
});

test('members, admins, a wrong password, a late, used, foreign or made-up confirmation: refused, and every refusal is in the log', async () => {
  const { acme, globex } = two;
  const refused = async (answer: ReturnType<typeof post>, code: string, event: string | undefined, tenant = acme) => {
    const { status, code: found, text } = await answer;
    assert.equal(found, code, `${status} ${text.slice(0, 300)}`);
    assert.ok(!text.includes('PGDMP'));
    assert.deepEqual(
      (await newEvents(tenant)).filter((name) => !name.includes('confirmed ')),
      event ? [event] : [],
    );
  };
  for (const role of ['admin', 'member'] as const) {
    const who = role === 'admin' ? 'usr_aa' : 'usr_mm';
    const event = `backup.download_refused FH_ROLE_REQUIRED ${who}`;
    await refused(post(acme, role, 'confirmations', { password }), 'FH_ROLE_REQUIRED', event);
    await refused(post(acme, role, 'download', { confirmation: await confirm(acme) }), 'FH_ROLE_REQUIRED', event);
  }
  const notConfirmed = 'backup.download_refused FH_DOWNLOAD_NOT_CONFIRMED usr_00';
  await refused(
    post(acme, 'owner', 'confirmations', { password: 'eight purple lanterns' }),
    'FH_PASSWORD_WRONG',
    'backup.download_refused FH_PASSWORD_WRONG usr_00',
  );
  await refused(
    post(acme, 'owner', 'download', { confirmation: 'x'.repeat(43) }),
    'FH_DOWNLOAD_NOT_CONFIRMED',
    notConfirmed,
  );

  // Of the other tenant, whose owner has the same id, address and password.
  const foreign = await confirm(globex);
  await newEvents(globex);
  await refused(post(acme, 'owner', 'download', { confirmation: foreign }), 'FH_DOWNLOAD_NOT_CONFIRMED', notConfirmed);
  await refused(
    post(globex, 'owner', 'download', { confirmation: foreign }),
    'FH_DOWNLOAD_NOT_CONFIRMED',
    notConfirmed,
    globex,
  );
  assert.equal(
    (await post(globex, 'owner', 'download', { confirmation: await confirm(globex) })).text,
    contents.get(globex.tenantId),
  );
  await newEvents(globex);

  const late = await confirm(acme);
  aheadMs += 120_001;
  await refused(post(acme, 'owner', 'download', { confirmation: late }), 'FH_DOWNLOAD_NOT_CONFIRMED', notConfirmed);

  // Another session of the same owner.
  const moved = await confirm(acme);
  await signIn(acme, 'owner');
  await refused(post(acme, 'owner', 'download', { confirmation: moved }), 'FH_DOWNLOAD_NOT_CONFIRMED', notConfirmed);

  // The role was taken away meanwhile; the session still says owner.
  const before = await confirm(acme);
  const setRole = (role: Role) =>
    two.databases.platform.transact(acme.tenantId, (db) =>
      db.query('UPDATE freehold.users SET role = $1 WHERE email = $2', [role, email('owner')]),
    );
  await setRole('admin');
  await refused(
    post(acme, 'owner', 'download', { confirmation: before }),
    'FH_ROLE_REQUIRED',
    'backup.download_refused FH_ROLE_REQUIRED usr_00',
  );
  await setRole('owner');
});

test('a stolen session is no place to guess the password', async () => {
  const { globex } = two;
  const codes: string[] = [];
  for (let tries = 0; tries < 8; tries++)
    codes.push((await post(globex, 'owner', 'confirmations', { password: `wrong ${tries}` })).code);
  assert.ok(codes.includes('FH_SIGN_IN_THROTTLED'), codes.join());
  const throttled = await post(globex, 'owner', 'confirmations', { password });
  assert.equal(throttled.code, 'FH_SIGN_IN_THROTTLED');
});

test('a dump that breaks off while it is sent does not end as if it were whole', async () => {
  const { acme } = two;
  breaksOff = true;
  const confirmation = await confirm(acme);
  const isWhole = await post(acme, 'owner', 'download', { confirmation }).then(
    ({ status, bytes, headers }) => status === 200 && bytes.length === Number(headers['content-length']),
    () => false,
  );
  breaksOff = false;
  assert.equal(isWhole, false);
});

test('an owner sees what there is; nothing of it is there yet', async () => {
  const { acme, globex } = two;
  const get = (role: Role) =>
    app.inject({ url: '/-/api/backups', headers: { host: acme.host, cookie: cookies.get(`acme ${role}`)! } });
  const answer = await get('owner');
  const location = { home: 'eu-de', copies: ['eu-nl', null], residency: null };
  assert.deepEqual(answer.json(), { lastBackup: null, lastVerification: null, dump: null, restorable: null, location });
  for (const [tenantId, home] of [
    [acme.tenantId, 'eu-de'],
    [globex.tenantId, 'us'],
  ])
    await pool.query(
      `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, created_at, state_changed_at, residency, residency_copies)
       VALUES ($1, $1, 'Acme', 'active', 'standard', 'desk', 'ada@example.com', now(), now(), ARRAY[$2], '{eu}')`,
      [tenantId, home],
    );
  assert.deepEqual((await get('owner')).json().location, {
    ...location,
    residency: { home: ['eu-de'], copies: ['eu'] },
  });
  assert.equal((await get('admin')).statusCode, 403);
});
