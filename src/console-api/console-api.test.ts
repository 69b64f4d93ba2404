import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { InjectOptions } from 'fastify';
import { controlAuditLog } from '#src/audit/index.ts';
import { createFleetDrift, createFleetRuns } from '#src/fleet/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { FreeholdError, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { createStandings, type Rollouts } from '#src/releases/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { addVersions, openTestRollouts } from '../../test/support/rollouts.ts';
import { selectVersions } from '../releases/sql.ts';
import { consoleApi } from './index.ts';

const stepUpRequired = () => new FreeholdError('FH_STEP_UP_REQUIRED', { status: 403, title: 'Confirm that it is you' });

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let rollouts: Rollouts;
let app: ReturnType<typeof createHttpApp>;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-console-'));
  world = await openTestInstallation({ control: cluster.control, folder });
  rollouts = openTestRollouts(world);
  app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  const fleetDeps = { db: world.pool, databases: world.admin, folders: new Map(), clock: systemClock, log: silentLog };
  await app.register(
    consoleApi({
      lifecycle: world.lifecycle,
      portability: world.portability,
      db: world.pool,
      auditLog: controlAuditLog,
      actorOf: (request) => {
        const actor = request.headers['x-test-actor'];
        if (typeof actor !== 'string')
          throw new FreeholdError('FH_TEST_SIGNED_OUT', { status: 401, title: 'signed out' });
        return actor;
      },
      requireStepUp: async (request) => {
        if (request.headers['x-test-step-up'] === 'none') throw stepUpRequired();
      },
      confirmSignedIn: async () => {},
      tenantUrl: (name) => `https://${name}.localhost:8443`,
      fleetReport: async () => ({ tenants: [] }),
      fleet: createFleetRuns(fleetDeps),
      drift: createFleetDrift(fleetDeps),
      rollouts,
      standings: createStandings({ db: world.pool }),
      apps: { list: () => selectVersions(world.pool) as never },
    }),
  );
  await app.ready();
});
after(async () => {
  await app.close();
  await rollouts.stop();
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function call(
  method: InjectOptions['method'],
  url: string,
  body?: unknown,
  actor: string | undefined = 'staff:stf_a',
) {
  const response = await app.inject({
    method,
    url,
    ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(actor ? { 'x-test-actor': actor } : {}),
    },
  });
  const isJson = String(response.headers['content-type']).includes('json');
  return { status: response.statusCode, body: isJson ? response.json() : response.body, raw: response };
}
async function create(name: string): Promise<string> {
  const { status, body } = await call('POST', '/api/tenants', { name, adminEmail: 'ada@example.com' });
  assert.equal(status, 202);
  const { operationId, tenantId } = body.operation;
  await world.lifecycle.waitForOperation(operationId);
  return tenantId;
}

test('tenants are found by name and id, in pages, sorted and filtered', async () => {
  for (const name of ['alpha', 'beta', 'gamma']) await create(name);
  await call('POST', '/api/tenants/beta/suspend', {}).then(({ body }) =>
    world.lifecycle.waitForOperation(body.operation.operationId),
  );
  const names = async (query: string) =>
    (await call('GET', `/api/tenants?${query}`)).body.tenants.map((tenant: { name: string }) => tenant.name);
  assert.deepEqual(await names('sort=name&descending=true'), ['gamma', 'beta', 'alpha']);
  assert.deepEqual(await names('state=suspended'), ['beta']);
  assert.deepEqual(await names('state=suspended,active&limit=1&offset=1'), ['beta']);
  assert.deepEqual(await names('search=AMM'), ['gamma']);
  assert.deepEqual(await names('search=%25'), [], 'a percent sign is a percent sign');
  const byName = (await call('GET', '/api/tenants/alpha')).body;
  const byId = (await call('GET', `/api/tenants/${byName.tenantId}`)).body;
  assert.deepEqual(byId, byName);
  assert.equal(byId.url, 'https://alpha.localhost:8443');
});

test('what cannot be taken back needs the name, and a wrong name stops anything', async () => {
  await create('careful');
  assert.equal((await call('POST', '/api/tenants/careful/delete', {})).body.code, 'FH_CONFIRMATION_MISSING');
  for (const action of ['delete', 'suspend', 'export']) {
    const { body } = await call('POST', `/api/tenants/careful/${action}`, { confirm: 'careless' });
    assert.equal(body.code, 'FH_CONFIRMATION_MISSING', action);
  }
  assert.equal((await call('GET', '/api/tenants/careful')).body.state, 'active');
  const { status, body } = await call('POST', '/api/tenants/careful/delete', { confirm: 'careful' });
  assert.equal(status, 202);
  const { result } = await world.lifecycle.waitForOperation(body.operation.operationId);
  const certificate = (await call('GET', `/api/certificates/${result.certificateId}`)).body;
  assert.equal(certificate.tenantName, 'careful');
});

test('what is dangerous asks the member again who they are, and the rest does not', async () => {
  await create('valued');
  const unconfirmed = async (method: InjectOptions['method'], url: string, payload?: object) => {
    const headers = { 'x-test-actor': 'staff:stf_a', 'x-test-step-up': 'none' };
    const response = await app.inject({ method, url, headers, ...(payload && { payload }) });
    return response.json().code;
  };
  const moment = { kind: 'time', time: new Date().toISOString() };
  const confirm = 'valued';
  for (const [method, url, body] of [
    ['POST', '/api/operations/opr_00000000000000000000000000/retry', {}],
    ['POST', '/api/tenants/valued/delete', { confirm }],
    ['POST', '/api/tenants/valued/delete', { confirm, now: true }],
    ['POST', '/api/tenants/valued/restore', { moment, inPlace: true, confirm }],
    ['POST', '/api/tenants/valued/restore', { moment, newName: 'valued-copy' }],
    ['POST', '/api/tenants/valued/clone', { newName: 'valued-copy' }],
    ['POST', '/api/tenants/valued/swap', { other: 'valued' }],
    ['GET', '/api/exports/opr_00000000000000000000000000/download', undefined],
    ['DELETE', '/api/exports/opr_00000000000000000000000000', undefined],
    ['POST', '/api/releases', { app: 'sample', version: '1' }],
    ['POST', '/api/releases/sample/promote', {}],
    ['POST', '/api/releases/sample/resume', {}],
  ] as const)
    assert.equal(await unconfirmed(method, url, body), 'FH_STEP_UP_REQUIRED', url);
  assert.equal((await call('GET', '/api/tenants/valued')).body.state, 'active');
  assert.equal(await unconfirmed('POST', '/api/tenants/valued/suspend', {}), undefined);
});

test('every body and query is refused unless each field is known', async () => {
  await create('strict');
  const bad: [InjectOptions['method'], string, unknown][] = [
    ['POST', '/api/tenants', { name: 'fine', adminEmail: 'a@example.com', admin: true }],
    ['POST', '/api/tenants', { name: 'fine' }],
    ['POST', '/api/tenants', { name: ['fine'], adminEmail: { a: 1 } }],
    ['POST', '/api/tenants', '{"name":"fine","adminEmail":"a@example.com","__proto__":{"x":1}}'],
    ['POST', '/api/tenants', '{"name":"fine"'],
    ['POST', '/api/tenants', '[]'],
    ['POST', '/api/tenants/strict/rename', {}],
    ['POST', '/api/tenants/strict/rename', { newName: 'fine', state: 'active' }],
    ['POST', '/api/tenants/strict/suspend', { reason: 'x'.repeat(501) }],
    ['GET', '/api/tenants?sort=password_hash', undefined],
    ['GET', '/api/tenants?limit=501', undefined],
    ['GET', '/api/tenants?search=%00', undefined],
    ['GET', '/api/tenants/%00', undefined],
    ['POST', '/api/tenants/strict/suspend', { reason: '\u0000' }],
    ['GET', '/api/tenants?state=active,nonsense', undefined],
    ['GET', '/api/tenants?unknown=1', undefined],
    ['GET', '/api/operations?state=frozen', undefined],
    ['GET', '/api/operations/opr_1', undefined],
    ['GET', '/api/operations/..%2f..%2fetc/events', undefined],
    ['GET', '/api/exports/opr_..%2f..%2fx/download', undefined],
    ['GET', '/api/certificates/1%20OR%201', undefined],
    ['GET', '/api/releases/%00', undefined],
    ['GET', '/api/releases/sample?states=gone', undefined],
    ['POST', '/api/releases', { app: 'sample' }],
    ['POST', '/api/releases', { app: 'sample', version: '1', soakSeconds: -1 }],
    ['POST', '/api/releases', { app: 'sample', version: '1', notes: 'x'.repeat(10_001) }],
    ['POST', '/api/releases', { app: 'sample', version: '1', force: true }],
    ['POST', '/api/tenants/strict/ring', { ring: 'canary' }],
    ['POST', '/api/tenants/strict/ring', {}],
    ['GET', '/api/audit?name=nonsense', undefined],
    ['GET', '/api/audit?before=-1', undefined],
    ['POST', '/api/tenants/import?name=fine', { path: '/etc/passwd' }],
  ];
  for (const [method, url, body] of bad) {
    const answer = await call(method, url, body);
    assert.equal(answer.status, 400, `${method} ${url} ${JSON.stringify(body)} ${JSON.stringify(answer.body)}`);
    assert.equal(answer.body.code, 'FH_INVALID_REQUEST');
  }
  assert.equal((await call('GET', '/api/tenants?search=fine')).body.total, 0);
});

test('nobody changes anything without a name of his own', async () => {
  await create('guarded');
  for (const [url, body] of [
    ['/api/tenants', { name: 'unsigned', adminEmail: 'a@example.com' }],
    ['/api/tenants/guarded/suspend', {}],
    ['/api/tenants/guarded/delete', { confirm: 'guarded' }],
  ] as const) {
    assert.equal((await call('POST', url, body, '')).status, 401, url);
  }
  assert.equal((await call('GET', '/api/tenants/guarded')).body.state, 'active');
});

test('an operation can be watched, and its secret is for who asked', async () => {
  const { body } = await call('POST', '/api/tenants', { name: 'watched', adminEmail: 'ada@example.com' });
  const { operationId } = body.operation;
  const stream = await call('GET', `/api/operations/${operationId}/events`);
  const events = String(stream.body)
    .split('\n\n')
    .filter((block) => block.includes('event: operation'));
  const last = JSON.parse(/^data: (.*)$/m.exec(events.at(-1)!)![1]!);
  assert.deepEqual([last.state, last.hasSecretResult], ['succeeded', true]);
  assert.ok(!stream.raw.body.includes('/-/invitations/'));
  const take = (actor: string) => call('POST', `/api/operations/${operationId}/secret-result`, {}, actor);
  assert.equal((await take('staff:stf_b')).status, 404);
  assert.match((await take('staff:stf_a')).body.invitationUrl, /^https:\/\/watched\.localhost:8443\/-\/invitations\//);
  assert.equal((await take('staff:stf_a')).body.code, 'FH_OPERATION_SHOWN');
  const { events: recorded } = (await call('GET', `/api/audit?tenantId=${body.operation.tenantId}`)).body;
  assert.deepEqual(
    recorded.map((event: { name: string; actor: string }) => [event.name, event.actor]),
    [['tenant.created', 'staff:stf_a']],
  );
});

test('an archive goes out and comes in over the same door', async () => {
  await create('mover');
  const { body } = await call('POST', '/api/tenants/mover/export', {});
  const { operationId } = body.operation;
  await world.lifecycle.waitForOperation(operationId);
  const download = (await call('GET', `/api/exports/${operationId}/download`, undefined, 'staff:stf_b')).raw;
  assert.match(String(download.headers['content-disposition']), /^attachment; filename="mover-\d{4}-\d\d-\d\d\.tar"$/);
  const upload = (payload: Buffer, name: string) =>
    app.inject({
      method: 'POST',
      url: `/api/tenants/import?name=${name}`,
      payload,
      headers: { 'content-type': 'application/x-tar', 'x-test-actor': 'staff:stf_a' },
    });
  const imported = await upload(download.rawPayload, 'moved');
  assert.equal(imported.statusCode, 202, imported.body);
  const done = await world.lifecycle.waitForOperation(imported.json().operation.operationId);
  assert.equal(done.state, 'succeeded', JSON.stringify(done.error));
  assert.equal((await upload(download.rawPayload, 'moved')).json().code, 'FH_TENANT_NAME_TAKEN');
  assert.equal((await upload(download.rawPayload.subarray(1_000), 'other')).json().code, 'FH_ARCHIVE_INVALID');
  assert.equal((await call('DELETE', `/api/exports/${operationId}`, undefined, 'staff:stf_c')).status, 204);
  assert.equal((await call('GET', `/api/exports/${operationId}/download`)).body.code, 'FH_ARCHIVE_NOT_FOUND');
  // Who made it, who took it, who removed it.
  const { events } = (await call('GET', `/api/audit?tenantId=${body.operation.tenantId}`)).body;
  assert.deepEqual(
    events.slice(0, 3).map((event: { name: string; actor: string }) => [event.name, event.actor]),
    [
      ['tenant.archive_removed', 'staff:stf_c'],
      ['tenant.archive_downloaded', 'staff:stf_b'],
      ['tenant.exported', 'staff:stf_a'],
    ],
  );
  await waitFor('the upload to be removed', async () => (await world.portability.sweep(0, [])) === 0);
});

test('a release is started, stopped and taken back by id, and an old page acts on no newer one', async () => {
  const tenantId = await create('released');
  await addVersions(world, '1', '2');
  await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version) VALUES ($1, 'sample', '1')`, [tenantId]);
  const { status, body } = await call('POST', '/api/releases', {
    app: 'sample',
    version: '2',
    notes: 'Two is better.',
    isRehearsed: false,
    soakSeconds: 0,
  });
  assert.equal(status, 202);
  const { releaseId, requestedBy } = body.release;
  assert.equal(requestedBy, 'staff:stf_a');
  const stateOf = async (id: string) => (await call('GET', `/api/releases/${id}`)).body.release.state;
  await waitFor('its end', async () => (await stateOf(releaseId)) === 'done', { deadlineMs: 30_000 });
  const { tenants } = (await call('GET', `/api/releases/${releaseId}?states=done`)).body;
  assert.deepEqual(
    tenants.map((row: { name: string; state: string }) => [row.name, row.state]),
    [['released', 'done']],
  );
  const { apps } = (await call('GET', '/api/releasable-apps')).body;
  assert.deepEqual(
    apps[0].versions.map(({ version, notes }: { version: string; notes: string }) => [version, notes]).sort(),
    [
      ['1', ''],
      ['2', 'Two is better.'],
    ],
  );
  assert.deepEqual(apps[0].rings, [{ ring: 'production', version: '2', tenants: 1, held: 0 }]);
  const { events } = (await call('GET', `/api/releases/${releaseId}/history`)).body;
  assert.deepEqual(
    events.map(({ name }: { name: string }) => name),
    ['release.done', 'release.ring_done', 'release.ring_done', 'release.started'],
  );

  const second = await call('POST', '/api/releases', { app: 'sample', version: '1', isManual: true });
  assert.equal(second.status, 202);
  const old = await call('POST', `/api/releases/${releaseId}/return`, {});
  assert.deepEqual([old.status, old.body.code], [409, 'FH_RELEASE_STATE']);
  assert.match(old.body.detail, /newer release/);
  assert.equal((await call('POST', '/api/releases', { app: 'sample', version: '2' })).body.code, 'FH_RELEASE_OPEN');
  await call('POST', `/api/releases/${second.body.release.releaseId}/return`, {});
  await waitFor('its end', async () => (await stateOf('sample')) === 'returned', { deadlineMs: 30_000 });
  for (const [ref, code] of [
    ['rel_00000000000000000000000000', 'FH_RELEASE_NOT_FOUND'],
    ['nothing', 'FH_RELEASE_NOT_FOUND'],
  ] as const)
    assert.equal((await call('POST', `/api/releases/${ref}/pause`, {})).body.code, code);
});

test('the ring of a tenant is seen and chosen; the app of another comes with Freehold', async () => {
  const tenantId = await create('ringed');
  const standingOf = async (name: string) => (await call('GET', `/api/tenants/${name}/version`)).body.standing;
  assert.equal(await standingOf('ringed'), null);
  assert.equal((await call('POST', '/api/tenants/ringed/ring', { ring: 'beta' })).body.code, 'FH_APP_NOT_FOUND');
  await addVersions(world, '1');
  await world.pool.query(
    `INSERT INTO tenant_apps (tenant_id, app, version, is_held) VALUES ($1, 'sample', '1', true)`,
    [tenantId],
  );
  assert.deepEqual((({ version, ring, isHeld }) => [version, ring, isHeld])(await standingOf('ringed')), [
    '1',
    'production',
    true,
  ]);
  assert.equal((await call('POST', '/api/tenants/ringed/ring', { ring: 'beta' })).status, 204);
  assert.deepEqual((({ ring, isHeld }) => [ring, isHeld])(await standingOf('ringed')), ['beta', false]);
  const { events } = (await call('GET', `/api/audit?tenantId=${tenantId}&name=release.ring_chosen`)).body;
  assert.deepEqual([events[0].actor, events[0].details], ['staff:stf_a', { ring: 'beta' }]);
  await world.pool.query('UPDATE tenant_apps SET is_held = true WHERE tenant_id = $1', [tenantId]);
});
