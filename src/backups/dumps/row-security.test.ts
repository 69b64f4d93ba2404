/** Fault F26 of docs/backup-faults.md: rows that the dumping role may not see must not make a dump that looks whole. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld, type World } from '../base/world.fixture.ts';
import { dumpOptions, startScratch } from './content.fixture.ts';
import { dumpTenant, verifyDump } from './index.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.remove());

test('row security that hides rows from the dumping role: no dump at all; sequences and generated columns come along', async () => {
  const { acme, globex } = world;
  const [north] = await world.newRegions();
  await world.sql(
    acme.database,
    'ALTER TABLE app.items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    'CREATE POLICY few ON app.items USING (item_id < 10)',
  );
  const dump = async (tenant: typeof acme) => dumpTenant(await dumpOptions(world, tenant, [north]));
  await assert.rejects(dump(acme), { code: 'FH_DUMP_FAILED' });
  assert.deepEqual(await Array.fromAsync(north.list('dumps/')), []);
  await world.sql(acme.database, 'ALTER TABLE app.items NO FORCE ROW LEVEL SECURITY');
  assert.equal((await dump(acme)).outcome, 'stored');

  await world.sql(
    globex.database,
    'CREATE TABLE app.counted (n int GENERATED ALWAYS AS IDENTITY (START 500), twice int GENERATED ALWAYS AS (n * 2) STORED)',
    'INSERT INTO app.counted SELECT FROM generate_series(1, 3)',
  );
  const stored = await dump(globex);
  assert.ok(stored.outcome === 'stored');
  assert.deepEqual([stored.header.tables, stored.header.rows], [2, 2003]);
  const scratch = await startScratch(world);
  try {
    const { passed, findings } = await verifyDump({
      ...scratch.parts,
      dump: stored.header,
      region: north,
      tables: stored.content.tables,
    });
    assert.deepEqual([passed, findings], [true, []]);
  } finally {
    await scratch.remove();
  }
});
