import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newId, randomName } from '#src/kernel/index.ts';
import { createTestKeys } from '../base/world.fixture.ts';
import { openLedgerFolder } from './ledger-folder.ts';
import { choosePortion } from './portion.ts';
import type { RowLedger } from './types.ts';

const folder = await mkdtemp(join(tmpdir(), 'fh-ledgers-'));
after(() => rm(folder, { recursive: true, force: true }));
const seed = randomName(20);
const keys = createTestKeys(seed);
const clusterId = newId('clu');
const ledgerAt = (lsn: string, takenAt: string, timeline = 1): RowLedger => ({
  format: 1,
  clusterId,
  timeline,
  lsn,
  takenAt,
  canaryId: '1',
  canaries: 1,
  tenants: [],
  busy: [],
});

test('the first ledger behind a place on its timeline; what was changed is none; old ones go', async () => {
  const ledgers = await openLedgerFolder(folder, keys);
  await ledgers.add(ledgerAt('0/5000000', '2026-03-01T00:00:00.000Z'));
  await ledgers.add(ledgerAt('0/7000000', '2026-03-02T00:00:00.000Z'));
  await ledgers.add(ledgerAt('0/9000000', '2026-03-03T00:00:00.000Z', 2));
  assert.equal((await ledgers.findAfter(1, '0/4000000'))?.lsn, '0/5000000');
  assert.equal((await ledgers.findAfter(1, '0/5000000'))?.lsn, '0/7000000');
  assert.equal(await ledgers.findAfter(1, '0/7000000'), undefined);
  assert.equal((await ledgers.findAfter(2, '0/1'))?.lsn, '0/9000000');
  const [first] = (await readdir(folder)).sort();
  const bytes = await readFile(join(folder, first!));
  assert.doesNotMatch(bytes.toString('latin1'), /canaries/);
  bytes[bytes.length - 20]! ^= 1;
  await writeFile(join(folder, first!), bytes);
  assert.equal((await ledgers.findAfter(1, '0/4000000'))?.lsn, '0/7000000');
  await ledgers.removeBefore(new Date('2026-03-02T12:00:00.000Z'));
  assert.equal((await readdir(folder)).length, 1);
});

test('killed before its name: there is none, and the next start clears what is left', async () => {
  const home = join(folder, 'killed');
  const program = `
    const { armFailpoints } = await import('#src/kernel/index.ts');
    const { createTestKeys } = await import('#src/backups/base/world.fixture.ts');
    const { openLedgerFolder } = await import('#src/backups/verification/ledger-folder.ts');
    const [home, seed, ledger] = JSON.parse(process.env.TEST_INPUT);
    armFailpoints('backups.verification.ledger_written=kill');
    await (await openLedgerFolder(home, createTestKeys(seed))).add(ledger);`;
  const ledger = ledgerAt('0/5000000', '2026-03-01T00:00:00.000Z');
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: join(import.meta.dirname, '../../..'),
    env: { ...process.env, TEST_INPUT: JSON.stringify([home, seed, ledger]) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  assert.equal(signal, 'SIGKILL');
  assert.equal((await readdir(home)).length, 1);
  const ledgers = await openLedgerFolder(home, keys);
  assert.deepEqual(await readdir(home), []);
  assert.equal(await ledgers.findAfter(1, '0/1'), undefined);
});

test('a portion: who has waited longest, as many as there is room for, one at least', () => {
  const [a, b, c, d] = [newId('ten'), newId('ten'), newId('ten'), newId('ten')].sort();
  const candidates = [
    { tenantId: a!, sizeBytes: 10, verifiedAt: new Date(3) },
    { tenantId: b!, sizeBytes: 90, verifiedAt: new Date(2) },
    { tenantId: c!, sizeBytes: 20, verifiedAt: undefined },
    { tenantId: d!, sizeBytes: 10, verifiedAt: new Date(1) },
  ];
  assert.deepEqual(choosePortion(candidates, { tenants: 9, bytes: 1000 }), [c, d, b, a]);
  assert.deepEqual(choosePortion(candidates, { tenants: 2, bytes: 1000 }), [c, d]);
  assert.deepEqual(choosePortion(candidates, { tenants: 9, bytes: 50 }), [c, d, a]);
  assert.deepEqual(choosePortion(candidates, { tenants: 9, bytes: 1 }), [c]);
  assert.deepEqual(choosePortion([], { tenants: 9, bytes: 1 }), []);
});
