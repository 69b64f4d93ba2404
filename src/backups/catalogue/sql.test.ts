import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { migrate } from '#src/databases/index.ts';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { type Connection, openConnection, quoteIdentifier } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../../test/support/cluster.ts';
import { at, backupId, clusterId, database, lsn, plantCatalogue, tenantId } from './catalogue.fixture.ts';
import { findMomentBefore, findTenantAt, findTenantAtLsn, findTenantsByName } from './ledger.ts';
import { loadBackups, loadDumps, loadTenantLedger, loadWalStretches, saveCatalogue } from './sql.ts';

let cluster: TestCluster;
let db: Connection;
before(async () => {
  cluster = await startTestCluster();
  await migrate(cluster.control, {
    schema: 'public',
    folder: new URL('../../../migrations/control/', import.meta.url),
  });
  db = await openConnection(cluster.control, { applicationName: 'test' });
});
after(async () => {
  await db?.close();
  await cluster?.stop();
});

test('rows are a copy of the regions: saved again, they say what the regions say then', async () => {
  const [ada, bob] = [tenantId('a'), tenantId('b')];
  const bases = [
    { id: 'aa', start: 1, stop: 2, finishedAt: 10, databases: [database('t_a', 1, ada)] },
    {
      id: 'bb',
      start: 9,
      stop: 10,
      finishedAt: 20,
      suspect: true,
      databases: [database('t_b', 2, bob)],
      without: [`data/${bob}/t_b`],
    },
  ];
  const pieces = [
    { start: 0, end: 4, first: 1, last: 5 },
    { start: 4, end: 6, first: 6, last: 7 },
    { start: 8, end: 12, first: 19, last: 25 },
  ];
  // The same id at both tenants.
  const dumps = [ada, bob].map((owner) => ({
    name: `dumps/${owner}/dmp_1`,
    tenantId: owner,
    dumpId: 'dmp_1',
    sizeBytes: 3,
    storedAt: at(2),
    madeAt: at(1),
  }));
  const north = { ...plantCatalogue({ bases, pieces }), dumps };
  const south = { ...plantCatalogue({ bases: bases.slice(0, 1), pieces }), region: 'south' };
  for (const catalogue of [north, south, north]) await saveCatalogue(db, catalogue);

  const backups = await loadBackups(db, clusterId);
  assert.deepEqual(
    backups.map(({ manifest }) => manifest.backupId),
    [backupId('bb'), backupId('aa')],
  );
  assert.deepEqual(backups[0]!.manifest, (north.clusters.get(clusterId)!.backups[1] as { manifest: unknown }).manifest);
  assert.deepEqual(backups[0]!.copies, [
    { region: 'north', state: 'incomplete', missing: [`data/${bob}/t_b`], storedAt: at(20) },
  ]);
  assert.deepEqual(
    backups[1]!.copies.map(({ region }) => region),
    ['north', 'south'],
  );
  const stretches = await loadWalStretches(db, clusterId);
  assert.deepEqual(stretches.slice(0, 2), [
    { region: 'north', timeline: 1, start: lsn(0), end: lsn(6), firstCommitAt: at(1), lastCommitAt: at(7) },
    { region: 'north', timeline: 1, start: lsn(8), end: lsn(12), firstCommitAt: at(19), lastCommitAt: at(25) },
  ]);
  assert.equal(stretches.length, 4);
  assert.deepEqual(await loadDumps(db, bob), [
    { region: 'north', tenantId: bob, dumpId: 'dmp_1', sizeBytes: 3, madeAt: at(1), storedAt: at(2) },
  ]);

  await saveCatalogue(db, { ...plantCatalogue({}), region: 'north' });
  assert.deepEqual(
    (await loadBackups(db, clusterId)).map(({ manifest }) => manifest.backupId),
    [backupId('aa')],
  );
  assert.deepEqual(await loadDumps(db, bob), []);
});

describe('the ledger of tenants', () => {
  const insert = (id: TenantId, name: string) =>
    db.query(
      `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, created_at, state_changed_at)
       VALUES ($1, $2, $2, 'creating', 'standard', 'desk', 'ada@example.com', now(), now())`,
      [id, name],
    );
  const change = (id: TenantId, column: 'name' | 'state' | 'database_name' | 'title', value: string | null) =>
    db.query(`UPDATE tenants SET ${quoteIdentifier(column)} = $2 WHERE tenant_id = $1`, [id, value]);

  test('follows every change that matters, in its transaction, and is never changed itself', async () => {
    const [one, other] = [newId('ten'), newId('ten')];
    await insert(one, 'acme');
    await insert(other, 'other');
    await change(one, 'database_name', 'template1');
    await change(one, 'state', 'active');
    await change(one, 'title', 'nothing that matters');
    const place = (await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn'))[0]!;
    await db.run('BEGIN');
    await change(one, 'name', 'undone');
    await db.run('ROLLBACK');
    await change(one, 'name', 'acme-2');
    await change(other, 'name', 'acme');
    await change(one, 'state', 'deleting');
    await change(one, 'database_name', null);
    await change(one, 'state', 'deleted');

    const ledger = await loadTenantLedger(db);
    const own = ledger.filter(({ tenantId: id }) => id === one);
    assert.deepEqual(
      own.map(({ state, tenantName, databaseName }) => [state, tenantName, databaseName]),
      [
        ['creating', 'acme', undefined],
        ['creating', 'acme', 'template1'],
        ['active', 'acme', 'template1'],
        ['active', 'acme-2', 'template1'],
        ['deleting', 'acme-2', 'template1'],
        ['deleting', 'acme-2', undefined],
        ['deleted', 'acme-2', undefined],
      ],
    );
    assert.deepEqual(await loadTenantLedger(db, one), own);
    assert.ok(own.every((entry, index) => index === 0 || entry.lsn! >= own[index - 1]!.lsn!));
    assert.deepEqual([own[0]!.timeline, own[1]!.databaseOid], [1, 1]);
    assert.deepEqual(findTenantsByName(ledger, 'acme'), [one, other].reverse());

    const deleted = findMomentBefore(ledger, one, 'delete')!;
    assert.deepEqual([deleted.tenant.databaseName, deleted.at], ['template1', own[4]!.at]);
    assert.deepEqual(deleted.target, { kind: 'lsn', lsn: own[4]!.lsn, timeline: 1 });
    assert.equal(findMomentBefore(ledger, one, 'rename')!.tenant.tenantName, 'acme');
    assert.equal(findMomentBefore(ledger, other, 'delete'), undefined);
    assert.equal(findTenantAt(ledger, one, own[3]!.at)!.tenantName, 'acme-2');
    assert.equal(findTenantAt(ledger, one, new Date(0)), undefined);
    assert.equal(
      findTenantAtLsn(
        ledger,
        one,
        BigInt(`0x${place.lsn.split('/')[1]}`) + (BigInt(`0x${place.lsn.split('/')[0]}`) << 32n),
      )!.tenantName,
      'acme',
    );
    await assert.rejects(db.query('DELETE FROM tenant_ledger'), /append-only/);
  });
});
