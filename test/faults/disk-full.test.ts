/**
 * The disk of the data folder runs full under load: clear refusals, nothing acknowledged is lost, and when there is room again everything
 * goes on by itself. The data folder is a small file system of its own; where mounting is not allowed (a person runs the tests), the
 * refusals come from a failpoint instead, and only uploads meet them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { Freehold, until } from '../acceptance/harness.ts';
import { assertNothingLeft } from './support/leftovers.ts';
import { newName } from './support/lifecycle.ts';
import { checkWrites, startWriters, type Writers } from './support/load.ts';
import {
  attach,
  begin,
  command,
  createTenant,
  ended,
  finish,
  type Installation,
  type Tenant,
  upload,
} from './support/operator.ts';
import { findProcesses, pidsOf } from './support/processes.ts';
import { arm, armable, controlIsBack, failpointsOf } from './support/product.ts';
import { mayMount, mountSmallDisk, type SmallDisk } from './support/small-disk.ts';
import { askAsSuperuser } from './support/superuser.ts';

const settings = { FREEHOLD_PREPARED_DATABASES: '1', FREEHOLD_WORKERS: '1' };
const sizeMiB = 600;
/** More than nothing, less than the reserve of 2 %. */
const withinReserveBytes = 8 * 1024 * 1024;

let disk: SmallDisk | undefined;
let freehold: Freehold;
let at: Installation;
let tenants: Tenant[];
const acknowledged = new Set<string>();
before(async () => {
  disk = mountSmallDisk(sizeMiB);
  freehold = await Freehold.start({
    dataDir: disk?.folder,
    // Without the right to mount, the first write of an upload to each process fails as on a full disk.
    env: { ...settings, ...(disk ? armable : { FREEHOLD_FAILPOINTS: 'objects.write=enospc' }) },
  });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  tenants = [await createTenant(at, newName()), await createTenant(at, newName())];
  await poolIsFull();
});
after(async () => {
  for (const { client } of tenants ?? []) await client.close();
  await freehold?.stop({ keepData: disk !== undefined });
  disk?.unmount();
});

/** Nothing else takes room in the background from here on. */
async function poolIsFull(): Promise<void> {
  await until('the pool to be full', async () => {
    const { preparedDatabases } = (await command(at, 'GET', '/api/health')).json;
    return preparedDatabases.ready === preparedDatabases.target;
  });
}

async function writersAtWork(context: TestContext): Promise<Writers> {
  const writers = startWriters(tenants, { perTenant: 2, pauseMs: 10, textBytes: 8_000 });
  context.after(() => writers.stop());
  await until('people to write', async () => writers.acknowledged.size > 20, 180_000);
  return writers;
}

async function assertNothingLost(context: TestContext, writers: Writers): Promise<void> {
  await writers.stop();
  for (const name of writers.acknowledged) acknowledged.add(name);
  const { checked, lost, doubled } = await checkWrites(tenants, acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  const refused = [...writers.refusals].map(([what, times]) => `${what} × ${times}`).join(', ');
  context.diagnostic(`${checked} acknowledged writes checked, 0 lost; refused: ${refused}`);
}

/** Whatever was refused was refused in the two ways that say: later. */
function assertClearRefusals({ refusals }: Writers): void {
  const unclear = [...refusals.keys()].filter((what) => !/^(507 FH_STORAGE_FULL|503 FH_DB_\w+)$/.test(what));
  assert.deepEqual(unclear, []);
}

async function goOnWriting(writers: Writers): Promise<void> {
  const already = writers.acknowledged.size;
  await until('people to write again', async () => writers.acknowledged.size > already + 20, 180_000);
}

const fill = (): void => disk?.fill();
const free = (): void => disk?.free();

const onSmallDisk: Readonly<Record<string, (context: TestContext) => Promise<void>>> = {
  'little room is left: uploads, exports and new tenants are refused, people go on writing': async (context) => {
    const [{ client, itemId, tenantId }] = tenants as [Tenant];
    disk?.keepFilled(withinReserveBytes);
    const writing = await client.send('POST', `/api/items/${itemId}/comments`, { body: 'still possible' });
    assert.equal(writing.status, 201);
    const refused = await upload(client, `/api/items/${itemId}/attachments`, Buffer.alloc(100_000, 'x'));
    assert.deepEqual([refused.status, refused.json?.code], [507, 'FH_STORAGE_FULL']);
    assert.match(refused.json.hint, /operator/);

    // Also with a prepared database, which costs nothing any more: its key finds no room in the regions, which are on this disk.
    const created = await ended(at, await begin(at, '/api/tenants', { name: newName(), adminEmail: 'a@example.com' }));
    assert.deepEqual([created.state, created.error?.code], ['undone', 'FH_STORAGE_FULL']);
    const cloned = await ended(at, await begin(at, `/api/tenants/${tenantId}/clone`, { newName: newName() }));
    assert.deepEqual([cloned.state, cloned.error?.code], ['undone', 'FH_STORAGE_FULL']);
    const exported = await ended(at, await begin(at, `/api/tenants/${tenantId}/export`, {}));
    assert.deepEqual([exported.state, exported.error?.code], ['failed', 'FH_STORAGE_FULL']);
    const health = (await command(at, 'GET', '/api/health')).json;
    assert.ok(health.warnings.some((one: { text: string }) => /disk/.test(one.text)));

    free();
    const again = await command(at, 'POST', `/api/operations/${exported.operationId}/retry`, {});
    assert.equal((await ended(at, again.json.operation)).state, 'succeeded');
    await poolIsFull();
    await assertNothingLeft(at);
    context.diagnostic('create, clone, export and upload refused with FH_STORAGE_FULL and taken back');
  },
  'not a byte is left: writes are refused, reads go on, the server stays': async (context) => {
    const writers = await writersAtWork(context);
    const [before] = pidsOf(at.dataDir, 'control');
    const gateways = pidsOf(at.dataDir, 'gateway');
    fill();
    await until('writes to be refused', async () => (writers.refusals.get('507 FH_STORAGE_FULL') ?? 0) > 50);
    const [{ client, itemId }] = tenants as [Tenant];
    assert.equal((await client.get(`/api/items/${itemId}`)).status, 200);
    assert.equal((await client.get('/-/api/session')).status, 200);
    const created = await ended(at, await begin(at, '/api/tenants', { name: newName(), adminEmail: 'a@example.com' }));
    assert.equal(created.state, 'undone');
    assert.equal(created.error?.code, 'FH_STORAGE_FULL');
    // Nobody died of a log line that could not be written.
    assert.deepEqual([pidsOf(at.dataDir, 'control'), pidsOf(at.dataDir, 'gateway')], [[before], gateways]);
    free();
    await goOnWriting(writers);
    assertClearRefusals(writers);
    await assertNothingLost(context, writers);
  },
  'a creation that meets the full disk in the middle, and control dies: it ends by itself, whole or not at all': async (
    context,
  ) => {
    await poolIsFull();
    await arm(at, 'lifecycle.create.administrator.before=hang');
    const { operationId } = await begin(at, '/api/tenants', { name: newName(), adminEmail: 'a@example.com' });
    await until('it to stand in the middle', async () => (await failpointsOf(at)).hanging.length > 0);
    fill();
    for (const pid of pidsOf(at.dataDir, 'control')) process.kill(pid, 'SIGKILL');
    const stateInBooks = () =>
      askAsSuperuser(
        at,
        `SELECT state || CASE WHEN undoing THEN ', undoing' ELSE '' END FROM operations WHERE operation_id = '${operationId}'`,
        'freehold_control',
      );
    let met = '';
    await until(
      'its successor to meet the full disk',
      async () => {
        // The database may end before the step fails: its log of changes finds no room either.
        met = (await stateInBooks().catch(() => ['there was no database'])).join();
        return met !== 'running';
      },
      120_000,
    );
    free();
    await controlIsBack(at);
    const ends = ['undone', 'succeeded'];
    await until('the end', async () => ends.includes((await stateInBooks()).join()), 120_000);
    await poolIsFull();
    await assertNothingLeft(at);
    context.diagnostic(`on the full disk: ${met}; with room: ${await stateInBooks()}`);
  },
  'not even the server log of changes finds room: it ends, and comes back when there is room': async (context) => {
    const writers = await writersAtWork(context);
    // The first connection to a database after a start of the server writes a file.
    await askAsSuperuser(at, 'SELECT 1');
    fill();
    context.after(free);
    // The next segment of the log cannot be made: PostgreSQL ends itself rather than lose a commit.
    let said = '';
    await until('the database to end', async () => {
      said = (await askAsSuperuser(at, 'SELECT pg_switch_wal()').catch((error: Error) => [error.message])).join();
      return (writers.refusals.get('503 FH_DB_UNAVAILABLE') ?? 0) > 50;
    }).catch((cause) => {
      throw new Error(`it said ${said}; refused: ${JSON.stringify([...writers.refusals])}`, { cause });
    });
    free();
    await goOnWriting(writers);
    await controlIsBack(at);
    assertClearRefusals(writers);
    await assertNothingLost(context, writers);
    await finish(at, '/api/tenants', { name: newName(), adminEmail: 'a@example.com' });
    await attach(tenants[0]!.client, tenants[0]!.itemId, 'there is room again');
    await poolIsFull();
    await assertNothingLeft(at);
  },
  'SIGKILL for everything while the disk is full: the next start says so, the one after has everything': async (
    context,
  ) => {
    const writers = await writersAtWork(context);
    fill();
    await until('writes to be refused', async () => writers.refusals.size > 0);
    for (const { pid } of findProcesses(at.dataDir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended with another.
      }
    }
    await writers.stop();
    const { dataDir, port, consolePort } = freehold;
    const args = { dataDir, port, consolePort, env: settings };
    const failed = await Freehold.start(args).then(
      async (started) => {
        // What was there was enough to recover with: that is no failure.
        assert.equal(await started.stop({ keepData: true }), 0);
        return undefined;
      },
      (error: Error) => error,
    );
    if (failed)
      assert.match(failed.message, /up ended with 1: .*(FH_STORAGE_FULL|FH_START_FAILED|FH_CLUSTER_START_FAILED)/s);
    await until('everything to end', async () => findProcesses(dataDir).length === 0);
    free();
    freehold = await Freehold.start(args);
    await assertNothingLost(context, writers);
    await assertNothingLeft(at);
    context.diagnostic(
      failed ? `the start on a full disk said: ${failed.message.split('\n').at(-2)}` : 'it started on a full disk',
    );
    // Half a line may stand where the disk was full, never half a process.
    assert.ok(readFileSync(join(dataDir, 'log/control.log'), 'utf8').length > 0);
  },
};

const byFailpoint: typeof onSmallDisk = {
  'an upload that finds the disk full is refused and leaves nothing': async () => {
    const [{ client, itemId }] = tenants as [Tenant];
    const refused = await upload(client, `/api/items/${itemId}/attachments`, Buffer.alloc(100_000, 'x'));
    assert.deepEqual([refused.status, refused.json?.code], [507, 'FH_STORAGE_FULL']);
    await attach(client, itemId, 'there is room again');
    await assertNothingLeft(at);
  },
};

for (const [name, run] of Object.entries(mayMount() ? onSmallDisk : byFailpoint)) test(name, run);
