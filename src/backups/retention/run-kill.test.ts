import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { at, clusterId } from '../catalogue/catalogue.fixture.ts';
import {
  dataName,
  daySeconds,
  listRuns,
  manifestOfDay,
  owners,
  startRetentionWorld,
} from './retention-world.fixture.ts';
import { runRetention } from './run.ts';

let world: Awaited<ReturnType<typeof startRetentionWorld>>;
before(async () => {
  world = await startRetentionWorld();
});
after(() => world?.stop());

const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints } from '#src/kernel/index.ts';
  import { createPool } from '#src/postgres/index.ts';
  import { keys, openSealedRegion } from './src/backups/catalogue/sealed-region.fixture.ts';
  import { createRetentionHolds } from './src/backups/retention/holds.ts';
  import { runRetention } from './src/backups/retention/run.ts';
  import { clock, policy } from './src/backups/retention/retention-world.fixture.ts';
  const { root, control, point, clusterId } = JSON.parse(await text(process.stdin));
  const { region } = await openSealedRegion(root);
  const db = createPool(control, { max: 2, applicationName: 'test' });
  armFailpoints(point);
  await runRetention({
    region, policy, db, keys: { ...keys, destroyedOwners: async () => [] }, holds: createRetentionHolds(), clusterId,
    readOwed: () => new Map(), findUnneededFiles: async () => [], clock,
  });
`;

async function runAndDie(root: string, point: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.end(JSON.stringify({ root, control: world.cluster.control, point, clusterId }));
  const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
}

for (const point of ['catalogue_saved', 'removed=kill@3', 'unfinished_removed'])
  test(`a run killed at ${point}: a backup that is left is whole, and the next run ends the work`, async () => {
    const { root, region, names } = await world.openRegion();
    const staging = join(root, '.staging');
    await mkdir(staging, { recursive: true });
    await writeFile(join(staging, 'abandoned'), 'half');
    await utimes(join(staging, 'abandoned'), at(daySeconds), at(daySeconds));
    await runAndDie(root, `retention.${point.includes('=') ? point : `${point}=kill`}`);
    const left = new Set(await names());
    for (let day = 0; day < 10; day++)
      if (left.has(manifestOfDay(day)))
        for (const owner of owners) assert.ok(left.has(dataName(owner, day)), `day ${day} was robbed`);

    await runRetention(world.options(region));
    const then = await names();
    assert.deepEqual(
      then.filter((name) => name.endsWith('/manifest')),
      [5, 6, 7, 8, 9].map(manifestOfDay),
    );
    assert.equal(then.filter((name) => name.startsWith('segments/')).length, 5);
    assert.deepEqual(await readdir(staging), []);
    // What a killed run left in the middle are orphans now: known, and gone after the grace.
    const later = { now: () => at(12 * daySeconds).getTime(), monotonicMs: () => 0 };
    await runRetention(world.options(region, { clock: later }));
    const databases = (await names()).filter((name) => name.startsWith('data/'));
    for (const owner of owners) assert.ok(!databases.includes(dataName(owner, 0)));
    assert.ok((await listRuns(world.db))[0]!.finishedAt);
  });
