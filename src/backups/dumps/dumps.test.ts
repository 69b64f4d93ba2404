import assert from 'node:assert/strict';
import { chmod, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { startWorld, type TestTenant, type World } from '../base/world.fixture.ts';
import { dumpOptions, startScratch, testContent } from './content.fixture.ts';
import { copyDump, type DumpResult, type DumpVerification, dumpTenant, openDump, verifyDump } from './index.ts';

let world: World;
let scratch: Awaited<ReturnType<typeof startScratch>>;
before(async () => {
  world = await startWorld();
  scratch = await startScratch(world);
});
after(async () => {
  await scratch?.remove();
  await world?.remove();
});

type Stored = Extract<DumpResult, { outcome: 'stored' }>;

async function dump(tenant: TestTenant, regions: readonly RegionStore[], more: object = {}): Promise<Stored> {
  const result = await dumpTenant({ ...(await dumpOptions(world, tenant, regions)), ...more });
  assert.equal(result.outcome, 'stored');
  return result as Stored;
}

const verify = (region: RegionStore, { header, content }: Stored): Promise<DumpVerification> =>
  verifyDump({ ...scratch.parts, dump: header, region, tables: content.tables });

const fileOf = (region: RegionStore, { header }: Stored): string =>
  path.join(world.folderOf(region), 'dumps', header.tenantId, header.dumpId);

const namesIn = async (region: RegionStore) => (await Array.fromAsync(region.list('dumps/'))).map(({ name }) => name);

test('a dump lies in both regions, is its tenant’s, and restores to what its snapshot held', async () => {
  const regions = await world.newRegions();
  const { acme, globex } = world;
  await world.sql(
    acme.database,
    'CREATE TABLE app.secrets (token text)',
    `INSERT INTO app.secrets VALUES ('a session')`,
    `SELECT lo_from_bytea(0, 'a large object')`,
    `INSERT INTO app.items VALUES (5000, 'of acme alone')`,
    // More than one chunk of a sealed object.
    `INSERT INTO app.items SELECT number, sha512(number::text::bytea)::text FROM generate_series(5001, 8000) AS number`,
  );
  const [stored, other] = [await dump(acme, regions), await dump(globex, regions)];
  const { header } = stored;
  assert.deepEqual(
    { server: header.server, tables: header.tables, rows: header.rows, largeObjects: header.largeObjects },
    { server: 'primary', tables: 1, rows: 5001, largeObjects: 1 },
  );
  for (const region of regions) {
    assert.deepEqual((await namesIn(region)).length, 2);
    assert.ok(!(await readFile(fileOf(region, stored))).includes('of acme alone'));
    const { passed, findings } = await verify(region, stored);
    assert.deepEqual([passed, findings], [true, []]);
  }
  const opened = await openDump(regions[0], header, world.keys);
  const bytes = Buffer.concat(await Array.fromAsync(opened.content));
  assert.equal(bytes.subarray(0, 5).toString(), 'PGDMP');
  assert.ok(!bytes.includes('a session'), 'what is worth something only here stays here');

  // One under the name of the other, and one tenant's key over the other's id.
  await chmod(fileOf(regions[0], other), 0o600);
  await writeFile(fileOf(regions[0], other), await readFile(fileOf(regions[0], stored)));
  await assert.rejects(openDump(regions[0], other.header, world.keys), { code: 'FH_DUMP_DAMAGED' });
  const foreign = { tenantId: globex.tenantId, dumpId: header.dumpId };
  await assert.rejects(openDump(regions[0], foreign, world.keys), { code: 'FH_DUMP_NOT_FOUND' });
  const { passed, findings } = await verify(regions[0], other);
  assert.deepEqual([passed, findings[0]?.code], [false, 'FH_DUMP_DAMAGED']);

  // Without room nothing is loaded, and the object in the region is let go.
  let source: Awaited<ReturnType<RegionStore['get']>>;
  const watched: RegionStore = {
    ...regions[0],
    async get(name) {
      source = await regions[0].get(name);
      return source;
    },
  };
  const requireRoom = async () => {
    assert.equal(source?.destroyed, false);
    throw new Error('no room');
  };
  const cramped = { ...scratch.parts, dump: header, region: watched, requireRoom };
  await assert.rejects(verifyDump(cramped), /no room/);
  assert.equal(source?.destroyed, true);
});

test('what is damaged, cut off, or not what the snapshot held fails verification, and says so', async () => {
  const regions = await world.newRegions();
  const stored = await dump(world.globex, regions);
  const [north, south] = regions;
  const sealed = await readFile(fileOf(north, stored));
  await chmod(fileOf(north, stored), 0o600);
  for (const damage of ['flipped', 'cut'] as const) {
    const bytes = Buffer.from(sealed);
    bytes[bytes.length - 20]! ^= 1;
    await writeFile(fileOf(north, stored), bytes);
    if (damage === 'cut') await truncate(fileOf(north, stored), sealed.length - 100);
    const { passed, findings } = await verify(north, stored);
    assert.deepEqual([passed, findings.map(({ code }) => code)], [false, ['FH_DUMP_DAMAGED']], damage);
  }
  assert.equal((await verify(south, stored)).passed, true);

  // A header that promises more than pg_dump wrote.
  const lying = {
    ...testContent,
    read: async (db: Parameters<typeof testContent.read>[0]) => {
      const { tables } = await testContent.read(db);
      return { sha256: 'another', tables: tables.map((table) => ({ ...table, rows: 2001, sha256: 'another' })) };
    },
  };
  const wrong = await dump(world.globex, regions, { content: lying });
  const { passed, findings } = await verify(south, wrong);
  assert.equal(passed, false);
  assert.deepEqual(findings, [
    { code: 'FH_DUMP_DIFFERS', text: 'table app.items has 2000 rows, 2001 expected, or other content' },
  ]);
});

test('a region that is away is got over, and has it later; damage is not carried on', async () => {
  const regions = await world.newRegions();
  const [north, south] = regions;
  const folder = world.folderOf(south);
  await rename(folder, `${folder}-away`);
  const stored = await dump(world.acme, regions);
  await rename(`${folder}-away`, folder);
  assert.deepEqual(
    stored.regions.map(({ region, complete }) => [region, complete]),
    [
      ['north', true],
      ['south', false],
    ],
  );
  assert.deepEqual(await namesIn(south), []);
  const copy = { from: north, to: south, dump: stored.header, keys: world.keys };
  assert.equal(await copyDump(copy), stored.sizeBytes);
  assert.equal(await copyDump(copy), 0);
  assert.deepEqual(await readFile(fileOf(south, stored)), await readFile(fileOf(north, stored)));

  await south.remove(`dumps/${stored.header.tenantId}/${stored.header.dumpId}`);
  const bytes = await readFile(fileOf(north, stored));
  bytes[bytes.length - 1]! ^= 1;
  await chmod(fileOf(north, stored), 0o600);
  await writeFile(fileOf(north, stored), bytes);
  await assert.rejects(copyDump(copy), { code: 'FH_DUMP_DAMAGED' });
  assert.deepEqual(await namesIn(south), []);

  await rename(folder, `${folder}-away`);
  await rename(world.folderOf(north), `${world.folderOf(north)}-away`);
  await assert.rejects(dump(world.acme, regions), { code: 'FH_BASE_BACKUP_NO_REGION' });
});

test('without rights or a server there is no dump anywhere, and the next source is tried', async () => {
  const regions = await world.newRegions();
  const options = await dumpOptions(world, world.globex, regions);
  const [source] = options.sources;
  const gone = { server: 'standby', target: { ...source!.target, host: '/nowhere' } } as const;
  await assert.rejects(dumpTenant({ ...options, sources: [gone] }), { code: 'FH_DUMP_FAILED' });
  await world.sql(
    world.globex.database,
    'CREATE TABLE app.closed (n int)',
    'REVOKE ALL ON app.closed FROM freehold_control',
  );
  // The snapshot is read before; pg_dump is refused when it has begun to write.
  const blind = { ...testContent, read: async () => ({ sha256: 'x', tables: [] }) };
  await assert.rejects(dumpTenant({ ...options, content: blind }), { code: 'FH_DUMP_FAILED' });
  for (const region of regions) assert.deepEqual(await namesIn(region), []);
  await world.sql(world.globex.database, 'DROP TABLE app.closed');
  const result = await dumpTenant({ ...options, sources: [gone, source!] });
  assert.equal(result.outcome === 'stored' && result.header.server, 'primary');
});

test('what has not changed since is said to be so and not stored; a destroyed key ends everything', async () => {
  const regions = await world.newRegions();
  const { acme } = world;
  const stored = await dump(acme, regions);
  const isKnown = (content: { sha256: string }, keyId: string) =>
    content.sha256 === stored.content.sha256 && keyId === stored.header.keyId;
  const options = await dumpOptions(world, acme, regions);
  assert.deepEqual(await dumpTenant({ ...options, isKnown }), { outcome: 'unchanged', server: 'primary' });
  await world.sql(acme.database, `UPDATE app.items SET text = 'changed' WHERE item_id = 1`);
  assert.equal((await dumpTenant({ ...options, isKnown })).outcome, 'stored');
  world.keys.destroy(acme.tenantId);
  await assert.rejects(dumpTenant(options), { code: 'FH_KEY_DESTROYED' });
  await assert.rejects(openDump(regions[0], stored.header, world.keys), { code: 'FH_KEY_DESTROYED' });
  world.keys.restore(acme.tenantId);
  const nobody = { tenantId: acme.tenantId, dumpId: newId('dmp') };
  await assert.rejects(openDump(regions[0], nobody, world.keys), { code: 'FH_DUMP_NOT_FOUND' });
});
