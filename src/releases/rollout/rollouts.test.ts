/** Releases: rings, gates, the way back. Databases, operations and ledgers are real; what an app does when it starts is told by each test. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { FreeholdError, type TenantId, waitFor } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../../test/support/installation.ts';
import { addVersions, openTestRollouts } from '../../../test/support/rollouts.ts';
import type { Release, ReleaseState, ReleaseTenant, Ring, Rollouts } from './index.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let rollouts: Rollouts;
/** What the app does when it starts, by version; nothing by default. */
const starts = new Map<string, (tenantId: TenantId) => Promise<void>>();
let judge: (tenant: ReleaseTenant) => Promise<string | undefined> = async () => undefined;
let versions = 1;
/** What new tenants of a test run. */
let running = '1';
let made = 0;
let tenants: { readonly name: string; readonly tenantId: TenantId }[] = [];

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-rollouts-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ appProcesses }) => ({
      appProcesses: {
        ...appProcesses!,
        async start(tenantId) {
          const { appVersion } = await world.lifecycle.getTenant(tenantId);
          await starts.get(appVersion ?? '')?.(tenantId);
        },
      },
    }),
  });
  await addVersions(world, '1');
  rollouts = openTestRollouts(world, { judge: (tenant) => judge(tenant) });
});
afterEach(async () => {
  judge = async () => undefined;
  await world.pool.query(`UPDATE tenant_apps SET is_held = true`);
  tenants = [];
});
after(async () => {
  await rollouts.stop();
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

/** Tenants at the version that was last, all with a note of the same id. Those of earlier tests are held. */
async function createIn(...wanted: readonly Ring[]): Promise<void> {
  for (const ring of wanted) {
    const name = `t-${++made}-${ring}`;
    const order = { name, adminEmail: 'ada@example.com' };
    const { operationId, tenantId } = await world.lifecycle.startOperation('create', undefined, order, 'os:test');
    await world.lifecycle.waitForOperation(operationId);
    await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version, ring) VALUES ($1, 'sample', $2, $3)`, [
      tenantId,
      running,
      ring,
    ]);
    await write(tenantId, 'n1', name);
    tenants.push({ name, tenantId });
  }
}
const write = (tenantId: TenantId, noteId: string, text: string) =>
  world.databases.app.transact(tenantId, (db) =>
    db.query(
      `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, $2, 'usr_x', '2026-01-01') ON CONFLICT (note_id) DO UPDATE SET text = $2`,
      [noteId, text],
    ),
  );
async function contents(): Promise<string[]> {
  return Promise.all(
    tenants.map(async ({ tenantId }) => {
      const [row] = await world.databases.app.read(tenantId, (db) =>
        db.query<{ text: string }>(
          `SELECT string_agg(note_id || '=' || text, ' ' ORDER BY note_id) AS text FROM notes`,
        ),
      );
      return row!.text;
    }),
  );
}
const versionsNow = async () =>
  Promise.all(tenants.map(async ({ name }) => (await world.lifecycle.getTenant(name)).appVersion));

/** Another version, which changes what every tenant has when it starts. */
async function nextVersion(start?: (tenantId: TenantId) => Promise<void>): Promise<string> {
  const version = String(++versions);
  await addVersions(world, version);
  starts.set(version, async (tenantId) => {
    // Who has it already has been migrated, whatever came afterwards.
    if (version === running) return;
    await write(tenantId, 'n1', `migrated by ${version}`);
    await start?.(tenantId);
  });
  return version;
}
function ends(state: ReleaseState, release: Release): Promise<Release> {
  return waitFor(
    `the release is ${state}`,
    async () => {
      const now = await rollouts.latest('sample');
      assert.equal(now.releaseId, release.releaseId);
      return now.state === state ? now : undefined;
    },
    { deadlineMs: 30_000, everyMs: 10 },
  );
}
const start = (version: string, settings = {}) =>
  rollouts.start('sample', version, { soakSeconds: 0, isRehearsed: false, ...settings }, 'os:test');
const broken = async () => {
  throw new FreeholdError('FH_APP_FAILED', { status: 503, title: 'The app does not run' });
};
const ringVersions = async () =>
  (
    await world.pool.query<{ ring: string; version: string }>(
      `SELECT ring, version FROM app_rings WHERE app = 'sample' ORDER BY ring`,
    )
  ).map(({ version }) => version);

test('a good version goes ring by ring, and what is made afterwards runs it', async () => {
  await createIn('alpha', 'beta', 'production', 'production');
  const order: string[] = [];
  const version = await nextVersion(async (tenantId) => void order.push(tenantId));
  const release = await ends('done', await start(version));
  assert.deepEqual(release.counts, { alpha: { done: 1 }, beta: { done: 1 }, production: { done: 2 } });
  assert.deepEqual(
    order.slice(0, 2),
    tenants.slice(0, 2).map(({ tenantId }) => tenantId),
  );
  assert.deepEqual(new Set(await versionsNow()), new Set([version]));
  assert.deepEqual(new Set(await contents()), new Set([`n1=migrated by ${version}`]));
  assert.deepEqual(await ringVersions(), [version, version, version]);
  running = version;
});

test('a version that does not start is stopped in alpha: nobody else gets it, and everybody has the content that was there', async () => {
  await createIn('alpha', 'alpha', 'alpha', 'beta', 'production');
  const [before, runs] = [await contents(), running];
  const rings = await ringVersions();
  const release = await ends('returned', await start(await nextVersion(broken)));
  assert.match(release.reason!, /of \d tenants failed in alpha, more than 10 %/);
  assert.deepEqual([release.counts.beta, release.counts.production], [{}, {}]);
  assert.deepEqual(new Set(await versionsNow()), new Set([runs]));
  assert.deepEqual(await contents(), before);
  assert.deepEqual(await ringVersions(), rings);
  const [failed] = await rollouts.tenants(release.releaseId, ['failed']);
  assert.equal(failed?.error?.code, 'FH_APP_FAILED');
});

test('of many tenants one is poisoned: it is taken back alone, the others are done', async () => {
  const poisoned = 5;
  await createIn(...Array.from({ length: 12 }, (): Ring => 'production'));
  const before = await contents();
  const runs = running;
  const version = await nextVersion(async (tenantId) => {
    if (tenantId === tenants[poisoned]?.tenantId) await broken();
  });
  const release = await ends('done', await start(version));
  assert.deepEqual(release.counts.production, { done: 11, failed: 1 });
  assert.equal((await versionsNow())[poisoned], runs);
  assert.equal((await contents())[poisoned], before[poisoned]);
  assert.equal((await versionsNow()).filter((each) => each === version).length, 11);
  assert.equal(await rollouts.gatherStragglers(new AbortController().signal), 0, 'it is not tried again by itself');
  running = version;
});

test('who does not run well after users were let in goes back; with its content unless somebody has written since', async () => {
  await createIn('alpha', 'alpha', 'alpha', 'beta');
  const [runs, before] = [running, await contents()];
  const version = await nextVersion();
  const begun = await start(version, { soakSeconds: 600 });
  await waitFor('alpha is watched', async () => (await rollouts.latest('sample')).soaksSince);
  const [first, second, third] = tenants as [(typeof tenants)[0], (typeof tenants)[0], (typeof tenants)[0]];
  assert.equal(await rollouts.noteWritten(second.tenantId), true);
  await world.pool.query(`UPDATE release_tenants SET state = 'returning' WHERE tenant_id = $1`, [first.tenantId]);
  assert.equal(await rollouts.noteWritten(first.tenantId), false, 'what is on its way back takes nothing any more');
  await world.pool.query(`UPDATE release_tenants SET state = 'done' WHERE tenant_id = $1`, [first.tenantId]);
  await write(second.tenantId, 'n2', 'by a user');
  judge = async ({ tenantId }) => (tenantId === first.tenantId ? undefined : 'too many errors');
  const release = await ends('returned', begun);
  assert.match(release.reason!, /2 of 3 tenants failed in alpha/);
  assert.deepEqual(new Set(await versionsNow()), new Set([runs]));
  const now = await contents();
  assert.deepEqual([now[0], now[2], now[3]], [before[0], before[2], before[3]]);
  assert.equal(now[1], `n1=migrated by ${version} n2=by a user`, 'what was written stays');
  const parts = new Map((await rollouts.tenants(release.releaseId)).map((each) => [each.tenantId, each]));
  assert.deepEqual(
    [first, second, third].map(({ tenantId }) => [parts.get(tenantId)?.state, parts.get(tenantId)?.isDataBack]),
    [
      ['returned', true],
      ['failed', false],
      ['failed', true],
    ],
  );
});

test('a release waits for promotion where it is to, can be paused, and is alone; what is closed meanwhile follows later', async () => {
  await createIn('alpha', 'production', 'production');
  const closed = tenants[2]!.tenantId;
  const run = async (kind: 'suspend' | 'resume') => {
    const { operationId } = await world.lifecycle.startOperation(kind, closed, {}, 'os:test');
    await world.lifecycle.waitForOperation(operationId);
  };
  await run('suspend');
  const version = await nextVersion();
  const begun = await start(version, { isManual: true });
  await assert.rejects(start(version), { code: 'FH_RELEASE_OPEN' });
  await waitFor('alpha is watched', async () => (await rollouts.latest('sample')).soaksSince);
  assert.equal((await rollouts.pause('sample', 'os:test')).state, 'paused');
  await assert.rejects(rollouts.promote('sample', 'os:test'), { code: 'FH_RELEASE_STATE' });
  assert.equal((await rollouts.resume('sample', 'os:test')).state, 'running');
  await rollouts.promote('sample', 'os:test');
  await waitFor('production is watched', async () => {
    const { ring, soaksSince } = await rollouts.latest('sample');
    return ring === 'production' && soaksSince;
  });
  await rollouts.promote('sample', 'os:test');
  await ends('done', begun);
  const runs = running;
  assert.deepEqual(await versionsNow(), [version, version, runs]);
  await run('resume');
  await waitFor('it follows', async () => (await rollouts.gatherStragglers(new AbortController().signal)) === 1);
  assert.deepEqual(await versionsNow(), [version, version, version]);

  // When it was through, a person may still take it back: then the version alone.
  await ends('returned', await rollouts.takeBack('sample', 'os:test'));
  assert.deepEqual((await versionsNow()).slice(0, 2), [runs, runs]);
  assert.deepEqual((await contents()).slice(0, 2), Array(2).fill(`n1=migrated by ${version}`));
  assert.deepEqual(await ringVersions(), [runs, runs, runs]);
  assert.equal(await rollouts.gatherStragglers(new AbortController().signal), 1, 'who came later goes back, too');
  assert.equal((await versionsNow())[2], runs);
});

test('a tenant that a person gave a version is passed over until it gets a ring', async () => {
  await createIn('production', 'production');
  await world.pool.query('UPDATE tenant_apps SET is_held = true WHERE tenant_id = $1', [tenants[0]!.tenantId]);
  const version = await nextVersion();
  await ends('done', await start(version));
  assert.deepEqual(await versionsNow(), [running, version]);
  await rollouts.setRing(tenants[0]!.tenantId, 'beta', 'os:test');
  assert.equal(await rollouts.gatherStragglers(new AbortController().signal), 1);
  assert.deepEqual(await versionsNow(), [version, version]);
});

test('before anybody gets it, it is tried on a copy of a tenant: what fails there, or what an older version would miss, stops it', async () => {
  await createIn('alpha', 'production');
  const before = await contents();
  const runs = running;
  const changes =
    (...statements: string[]) =>
    async (tenantId: TenantId) => {
      await world.databases.app.transact(tenantId, async (db) => {
        for (const statement of statements) await db.query(statement);
      });
    };
  const cases: [Parameters<typeof nextVersion>[0], RegExp][] = [
    [broken, /^on a copy of a tenant it fails: The app does not run/],
    [
      changes('ALTER TABLE notes DROP COLUMN file_id'),
      /would not find what it needs after it: app\.notes\.file_id is gone/,
    ],
    [changes('ALTER TABLE notes RENAME TO memos'), /app\.notes is gone/],
    [
      changes('ALTER TABLE notes ALTER COLUMN created_at TYPE text'),
      /created_at is text, and was timestamp with time zone/,
    ],
    [
      changes(
        'ALTER TABLE notes ADD COLUMN must text',
        `UPDATE notes SET must = ''`,
        'ALTER TABLE notes ALTER COLUMN must SET NOT NULL',
      ),
      /notes\.must is new, and whoever does not know it cannot add a row/,
    ],
  ];
  for (const [start_, reason] of cases) {
    const release = await ends('returned', await start(await nextVersion(start_), { isRehearsed: true }));
    assert.match(release.reason!, reason);
    assert.deepEqual(release.counts, { alpha: {}, beta: {}, production: {} }, 'nobody was touched');
  }
  // The older version has its say as well.
  starts.set(runs, broken);
  const refused = await ends('returned', await start(await nextVersion(), { isRehearsed: true }));
  starts.delete(runs);
  assert.match(refused.reason!, new RegExp(`^${runs} does not run on the schema that it leaves`));
  assert.deepEqual(await contents(), before);
  assert.deepEqual(new Set(await versionsNow()), new Set([runs]));

  const adds = changes('ALTER TABLE notes ADD COLUMN more text');
  const version = await nextVersion(adds);
  await ends('done', await start(version, { isRehearsed: true }));
  running = version;
  const drops = changes('ALTER TABLE notes DROP COLUMN more');
  const next = await nextVersion(drops);
  await ends('done', await start(next, { isRehearsed: true, mayContract: true }));
  running = next;
  const { tenants: left } = await world.lifecycle.listTenants({ limit: 500 });
  assert.deepEqual(
    left.filter(({ name, state }) => name.startsWith('rehearsal') && state !== 'deleted'),
    [],
  );
});
