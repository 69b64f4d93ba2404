import assert from 'node:assert/strict';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createFileReplicator, type Shipper } from '#src/backups/index.ts';
import { createTenantDatabases, type TenantDatabases } from '#src/databases/index.ts';
import { createTenantFiles } from '#src/files/index.ts';
import { parseLsn, randomName, silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import { createDiskStore, type RegionStore } from '#src/objects/index.ts';
import type { OperationKind, RecoveryPoint } from '#src/tenants/index.ts';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { type ShippingWorld, startShippingWorld } from '../backups/shipping/shipping.fixture.ts';

const patient = { deadlineMs: 60_000 };
const seed = Number(process.env.FREEHOLD_SEED ?? Date.now() % 100_000);

let shipping: ShippingWorld;
let shipper: Shipper;
let world: TestInstallation;
let databases: TenantDatabases;
/** Waits for regions for a second and a half only. */
let hasty: TenantDatabases;
let acme: TenantId;
let other: TenantId;
/** Of acme's database: the registry will be gone with the server. */
let databaseName: string;
before(async () => {
  shipping = await startShippingWorld();
  shipper = await shipping.start({ awayAfterMs: 1_000, chunkIntervalMs: 20 });
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', patient);
  await shipping.takeBase();
  world = await openTestInstallation({
    control: shipping.server.control,
    folder: path.join(shipping.server.folder, 'installation'),
  });
  databases = open(60_000);
  hasty = open(1_500);
  const input = { adminEmail: 'ada@example.com' };
  acme = (await finish('create', undefined, { ...input, name: 'acme' })).tenantId;
  databaseName = (await world.lifecycle.getTenant(acme)).databaseName!;
  other = (await finish('create', undefined, { ...input, name: 'other' })).tenantId;
});
const open = (confirmWithinMs: number) =>
  createTenantDatabases({
    directory: { getAccess: world.directory.forLifecycle.getAccess, onChanged() {}, onFlush() {} },
    budget: 8,
    perTenantMax: 2,
    statementTimeoutMs: 30_000,
    lockTimeoutMs: 10_000,
    waitTimeoutMs: 30_000,
    confirmWithinMs,
    log: silentLog,
  });
after(async () => {
  await databases.stop();
  await hasty.stop();
  await world.stop();
  await shipping.remove();
});

async function finish(kind: OperationKind, tenantId: TenantId | undefined, input: object) {
  const { operationId } = await world.lifecycle.startOperation(kind, tenantId, input as never, 'os:test');
  const operation = await world.lifecycle.waitForOperation(operationId);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return operation;
}

const set = (tenantId: TenantId, recoveryPoint: RecoveryPoint) => finish('set', tenantId, { recoveryPoint });
const pointOf = async (tenantId: TenantId) => (await world.lifecycle.getTenant(tenantId)).recoveryPoint;

/** The same ids in both tenants. @returns a place before its commit */
async function writeNote(tenantId: TenantId, id: string, through = databases): Promise<bigint> {
  return through.app.transact(tenantId, async (db) => {
    const [row] = await db.query<{ lsn: string }>(
      `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, 'kept', 'usr_x', now())
       RETURNING pg_current_wal_insert_lsn()::text AS lsn`,
      [id],
    );
    return parseLsn(row!.lsn);
  });
}

const readNotes = (tenantId: TenantId) =>
  databases.app.read(tenantId, (db) => db.query<{ id: string }>('SELECT note_id AS id FROM notes ORDER BY note_id'));

test('a tenant whose commits wait for every region: said, kept over a second time, inherited by a copy, and taken back', async () => {
  assert.equal(await pointOf(acme), 'second');
  // A session from before must not go on as it was.
  await writeNote(acme, 'before');
  await set(acme, 'zero');
  await set(acme, 'zero');
  assert.deepEqual([await pointOf(acme), await pointOf(other)], ['zero', 'second']);
  for (let n = 0; n < 20; n++) {
    // The session that was ended may be met once more.
    const place = await writeNote(acme, `n${n}`).catch(() => writeNote(acme, `n${n}`));
    // The answer came after every region had it.
    assert.ok(shipper.status().confirmed > place);
  }
  const copy = await finish('clone', acme, { newName: 'copy' });
  assert.equal(await pointOf(copy.tenantId), 'zero');
  await set(copy.tenantId, 'second');
  assert.equal(await pointOf(copy.tenantId), 'second');
  await finish('rename', acme, { newName: 'acme-two' });
  assert.equal(await pointOf(acme), 'zero');
});

test('a region goes away: its commits are refused in clear words, others go on, and the operator may lower it', async () => {
  const gone = path.join(shipping.server.folder, 'gone');
  await rename(shipping.rootOf('south'), gone);
  await assert.rejects(writeNote(acme, 'refused', hasty), { code: 'FH_DB_NOT_IN_REGIONS', status: 503 });
  // Saved here all the same, as the refusal says; and nothing keeps it from reading.
  assert.ok((await readNotes(acme)).some(({ id }) => id === 'refused'));
  for (let n = 0; n < 5; n++) await writeNote(other, `n${n}`);
  await waitFor('the alarm', () => shipping.events.some(({ kind }) => kind === 'region.away'), patient);
  await set(acme, 'second');
  await writeNote(acme, 'lowered').catch(() => writeNote(acme, 'lowered'));
  await set(acme, 'zero');
  await assert.rejects(
    writeNote(acme, 'again', hasty).catch(() => writeNote(acme, 'again too', hasty)),
    { code: 'FH_DB_NOT_IN_REGIONS' },
  );
  await rename(gone, shipping.rootOf('south'));
  await waitFor(
    'commits again',
    () =>
      writeNote(acme, `back${performance.now()}`, hasty).then(
        () => true,
        () => false,
      ),
    {
      ...patient,
      everyMs: 200,
    },
  );
});

test('a file lies in every region before its row, or is refused; of a tenant whose commits do not wait, it comes later', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'freehold-files-'));
  const { north, south } = shipping.regions;
  const replicator = createFileReplicator({
    vault: await createDiskStore(root),
    regions: [north, south],
    log: silentLog,
    monotonicMs: () => performance.now(),
  });
  const files = await createTenantFiles({
    root,
    databases,
    filesKeyOf: async (tenantId) => world.keys.deriveTenantKey(tenantId, 'files'),
    keepInRegions: (tenantId, name) => replicator.bring(tenantId, name, AbortSignal.timeout(60_000)),
    clock: systemClock,
  });
  const put = (tenantId: TenantId, text: string) => {
    async function* content() {
      yield Buffer.from(text);
    }
    return files.put(tenantId, content(), { name: 'a', mediaType: 'text/plain', maxBytes: 100, createdBy: 'system' });
  };
  const rowsOf = async (tenantId: TenantId) =>
    (await databases.platform.read(tenantId, (db) => db.query('SELECT FROM freehold.files'))).length;
  const namesIn = async (region: RegionStore, tenantId: TenantId) => {
    const names: string[] = [];
    for await (const { name } of region.list(`files/${tenantId}/`)) names.push(name);
    return names.length;
  };
  const gone = path.join(shipping.server.folder, 'gone');
  try {
    await set(acme, 'zero');
    await put(acme, 'same').catch(() => put(acme, 'same'));
    assert.deepEqual([await namesIn(north, acme), await namesIn(south, acme), await rowsOf(acme)], [1, 1, 1]);
    await rename(shipping.rootOf('south'), gone);
    await assert.rejects(put(acme, 'refused'), { code: 'FH_FILE_NOT_IN_REGIONS', status: 503 });
    assert.equal(await rowsOf(acme), 1);
    await put(other, 'same');
    assert.deepEqual([await namesIn(north, other), await rowsOf(other)], [1, 1]);
    await rename(gone, shipping.rootOf('south'));
    await replicator.replicate([other]);
    assert.equal(await namesIn(south, other), 1);
    await put(acme, 'refused');
    assert.equal(await rowsOf(acme), 2);
  } finally {
    await rename(gone, shipping.rootOf('south')).catch(() => {});
    await rm(root, { recursive: true });
  }
});

test('no statement of the tenant weakens it: not for its own transaction, not for later ones', async () => {
  await set(acme, 'zero');
  await databases.app.transact(acme, async (db) => {
    const weaken = (name: string) =>
      `CREATE FUNCTION ${name} LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET synchronous_' || 'commit = off'; RETURN NULL; END $$`;
    await db.query(weaken('weaken() RETURNS text'));
    await db.query(weaken('weaken_late() RETURNS trigger'));
    await db.query(
      `CREATE CONSTRAINT TRIGGER weaken AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW WHEN (NEW.text = 'late') EXECUTE FUNCTION weaken_late()`,
    );
  });
  const gone = path.join(shipping.server.folder, 'gone');
  await rename(shipping.rootOf('south'), gone);
  const hastier = open(300);
  const insert = (text = 'kept') =>
    `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('${randomName(10)}', '${text}', 'usr_x', now())`;
  const attempts: string[][] = [
    ['SET LOCAL synchronous_commit = off', insert()],
    [insert(), `SELECT set_config('synchronous_commit', 'off', true)`],
    [insert(), `SELECT set_config('synchronous_' || 'commit', 'off', false)`],
    [`DO $$ BEGIN PERFORM weaken(); END $$`, insert()],
    [insert('late')],
    // Its query is asked at the end of the transaction.
    [insert(), `DO $$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT weaken()'; END $$`],
    [`ALTER ROLE CURRENT_USER SET synchronous_commit = off`, insert()],
  ];
  try {
    for (const statements of attempts) {
      // Twice: what is left in the session, or is said of the role, would hold for the next.
      for (const each of [statements, [insert()]]) {
        const attempt = hastier.app.transact(acme, async (db) => {
          for (const statement of each) await db.query(statement);
        });
        await assert.rejects(attempt, { code: 'FH_DB_NOT_IN_REGIONS' }, statements.join('; '));
      }
    }
  } finally {
    await hastier.stop();
    await rename(gone, shipping.rootOf('south'));
  }
});

test(`the primary is killed and its folder lost: one region alone has every change that was answered (seed ${seed})`, async (context) => {
  const answered: string[] = [];
  let place = 0n;
  const target = 40 + (seed % 40);
  const killed = Promise.withResolvers<void>();
  const writers = [1, 2].map(async (writer) => {
    for (let n = 0; ; n++) {
      const id = `w${writer}-${n}`;
      const lsn = await writeNote(acme, id).catch(() => undefined);
      if (lsn === undefined) return;
      answered.push(id);
      if (lsn > place) place = lsn;
      if (answered.length === target) {
        process.kill(shipping.server.cluster.status().processId!, 'SIGKILL');
        killed.resolve();
      }
    }
  });
  await killed.promise;
  await Promise.all(writers);
  await shipper.stop();
  await waitFor('the server to be gone', () => shipping.server.cluster.status().state === 'stopped', patient);
  await rm(shipping.server.cluster.options.dataDir, { recursive: true });
  await rm(shipping.rootOf('north'), { recursive: true });
  const held = await shipping.restore(
    'south',
    place,
    async (db) => new Set((await db.query<{ id: string }>('SELECT note_id AS id FROM app.notes')).map(({ id }) => id)),
    databaseName,
  );
  assert.deepEqual(
    answered.filter((id) => !held.has(id)),
    [],
  );
  context.diagnostic(`${answered.length} answered, none lost`);
});
